//! Workbooks that somebody sends: a sound one with parts of it replaced, or with bytes of it changed.

#![no_main]

use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::LazyLock;

use fenlei::domain::rows::Rows;
use fenlei::rows::{households, visits};
use fenlei::sheets::{Row, Table, Value, read, xlsx};
use libfuzzer_sys::fuzz_target;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

/// What is replaced by the texts of an input, in this order; an empty text leaves it as it is.
const PARTS: [&str; 4] = ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml"];

static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let columns = "household,date,kind,outcome".split(',').map(str::to_owned).collect();
    let row = vec!["h1".into(), chrono::NaiveDate::default().into(), "visit".into(), 7_i64.into()];
    xlsx(&[Table { title: "t".to_owned(), columns, rows: vec![row] }], Default::default()).expect("it is written")
});

fuzz_target!(init: end_at_our_own_panics_only(), |bytes: &[u8]| {
    let Some((how, rest)) = bytes.split_first() else { return };
    let texts = if *how == b'<' { bytes } else { b"" };
    let mut archive = ZipArchive::new(Cursor::new(SOUND.as_slice())).expect("it is an archive");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).expect("it is there");
        let name = part.name().expect("it has a name").into_owned();
        let text = texts.split(|byte| *byte == 0xff).zip(PARTS).find(|(text, of)| *of == name && !text.is_empty());
        writer.start_file(name.as_str(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).expect("room");
        match text {
            Some((text, _)) => writer.write_all(text).expect("room"),
            None => drop(std::io::copy(&mut part, &mut writer).expect("room")),
        }
    }
    let mut file = writer.finish().expect("room").into_inner();
    // Else each three bytes are a place in it, and what is put there.
    for change in rest.chunks_exact(3).filter(|_| texts.is_empty()) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[place] = change[2];
    }
    let Ok(rows) = read(&file) else { return };
    assert!(rows.is_sorted_by(|row, next| row.number < next.number));
    let texts = rows.iter().flat_map(|row| row.cells.values());
    assert!(texts.into_iter().all(|value| !matches!(value, Value::Text(text) if text.is_empty() || text.trim() != text)));
    located(&rows, households::from_xlsx(&file));
    located(&rows, visits::from_xlsx(&file));
});

/// Every row below the header is read or refused by its number; or the file as a whole is refused.
fn located<T>(rows: &[Row], found: Rows<T>) {
    let numbers = found.readable.iter().map(|(number, _)| *number).chain(found.bad.iter().map(|bad| bad.row));
    let numbers: BTreeSet<_> = numbers.collect();
    assert!(numbers == BTreeSet::from([0]) || numbers.into_iter().eq(rows.iter().skip(1).map(|row| row.number)));
}

/// Those of calamine are caught where it reads; libFuzzer would end at them before.
fn end_at_our_own_panics_only() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_some_and(|place| Path::new(place.file()).is_relative()) {
            end(panic);
        }
    }));
}
