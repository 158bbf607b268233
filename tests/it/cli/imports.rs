//! Households and visits brought in from files, as a whole or not at all.

use fenlei::card_key;
use fenlei::sheets::{Cell, Table, xlsx};
use fenlei::store::sql::Connection;

use super::{CSV, households, mode};
use crate::support::folder::Folder;

#[test]
fn an_import_is_made_as_a_whole_or_not_at_all() {
    let folder = Folder::new();
    folder.write("good.csv", CSV);
    folder.write("bad.csv", &format!("{CSV}h3,,2026-01-01,,c1\nH4,,2026-01-01,,c4\n"));
    let import =
        |file: &str, community: &str| ["import", "households", "--community", community, file].map(String::from);
    let run = |file, community| {
        let arguments = import(file, community);
        folder.refused(&arguments.each_ref().map(String::as_str))
    };
    let (code, said) = run("bad.csv", "garden");
    assert_eq!(code, 1);
    insta::assert_snapshot!(said, @r"
    bad.csv row 3: shares a card with row 1 on the same days
    bad.csv row 4: `household` must match [a-z0-9][a-z0-9_-]{0,47}
    fenlei: nothing was imported: mend what is named above (2) and repeat
    ");
    assert_eq!(households(&folder.store()), 0);
    assert!(run("good.csv", "nowhere").1.contains("there is no community nowhere"));
    let good = ["import", "households", "--community", "garden", "good.csv"];
    assert_eq!(folder.done(&good), "2 households created, 0 updated\n");
    assert_eq!(folder.done(&good), "0 households created, 2 updated\n");
    assert_eq!(households(&folder.store()), 2);
    assert_eq!(mode(&folder.path("fenlei.card-key")), 0o600);
    // Cards are kept under this installation's key, and under no other.
    let key = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    let known = "SELECT count(*) FROM card WHERE hash = ?1";
    let count: i64 = folder.store().query_row(known, [key.hash("c1").0], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    std::fs::rename(folder.path("fenlei.card-key"), folder.path("lost")).unwrap();
    assert!(run("good.csv", "garden").1.contains("put it back"));
}

#[test]
fn visits_are_imported_as_a_whole_too() {
    let folder = Folder::new();
    folder.write("households.csv", CSV);
    folder.done(&["import", "households", "--community", "garden", "households.csv"]);
    let good = "household,date,kind,outcome,claimed,tested\nh1,2026-01-20,survey,answered,true,false\n";
    folder.write("good.csv", good);
    folder.write("bad.csv", &format!("{good}h1,2026-01-21,survey,refused,true,\nh7,2026-01-21,visit,absent,,\n"));
    let run = |file: &'static str| ["import", "visits", "--community", "garden", file];
    let (code, said) = folder.refused(&run("bad.csv"));
    assert_eq!(code, 1);
    insta::assert_snapshot!(said, @r"
    bad.csv row 2: `claimed` and `tested` are answers: they go with the outcome `answered` only
    bad.csv row 3: no such household is in the community: import it first
    fenlei: nothing was imported: mend what is named above (2) and repeat
    ");
    assert_eq!(visits(&folder.store()), 0);
    for _ in 0..2 {
        assert_eq!(folder.done(&run("good.csv")), "1 visits recorded\n");
        assert_eq!(visits(&folder.store()), 1);
    }
}

#[test]
fn a_workbook_is_imported_as_csv_is() {
    let folder = Folder::new();
    let write = |name: &str, columns: &[&str], rows: &[&[&str]]| {
        let rows = rows.iter().map(|row| row.iter().map(|text| Cell::from(*text)).collect()).collect();
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let file = xlsx(&[Table { title: "t".to_owned(), columns, rows }], chrono::DateTime::default()).unwrap();
        std::fs::write(folder.path(name), file).unwrap();
    };
    write("households.xlsx", &["household", "enrolled_from"], &[&["h1", "2026-01-01"]]);
    let columns = ["household", "date", "kind", "outcome"];
    write("good.xlsx", &columns, &[&["h1", "2026-01-20", "visit", "absent"]]);
    write("bad.xlsx", &columns, &[&["h1", "2026-01-20", "visit", "absent"], &["h1", "2026-01-20", "call", "absent"]]);
    let run = |what: &'static str, file: &'static str| ["import", what, "--community", "garden", file];
    assert_eq!(folder.done(&run("households", "households.xlsx")), "1 households created, 0 updated\n");
    let (code, said) = folder.refused(&run("visits", "bad.xlsx"));
    assert_eq!((code, visits(&folder.store())), (1, 0));
    assert!(said.contains("bad.xlsx row 3: `kind` must be visit or survey"), "{said}");
    assert_eq!(folder.done(&run("visits", "good.xlsx")), "1 visits recorded\n");
}

fn visits(store: &Connection) -> i64 {
    store.query_row("SELECT count(*) FROM visit", [], |row| row.get(0)).unwrap()
}
