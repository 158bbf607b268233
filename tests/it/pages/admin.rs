//! Administration: what is registered, accounts, tokens, the roster, the log, and what an admin of one organization cannot.

use fenlei::domain::registry::Role;
use fenlei::passwords;
use fenlei::store::{accounts, tokens};
use reqwest::StatusCode;

use crate::support::api::Api;
use crate::support::pages::{Browser, PASSWORD, account};

const SEE_OTHER: StatusCode = StatusCode::SEE_OTHER;

#[tokio::test]
async fn everything_registered_is_listed_made_changed_and_deleted() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "admin", None, &[Role::Admin]).await;
    for (kind, marks) in
        [("organizations", "北居委会"), ("communities", "花园小区"), ("sites", "东门"), ("devices", "bin-1")]
    {
        assert!(browser.see(&format!("/admin/{kind}")).await.contains(marks), "{kind}");
    }
    let made = [
        ("organizations", vec![("id", "helpers"), ("name", "志愿者"), ("kind", "volunteer_group")]),
        ("communities", vec![("id", "hill"), ("name", "山景小区"), ("committee", "north")]),
        (
            "sites",
            vec![
                ("id", "hill-1"),
                ("name", "西门"),
                ("community", "hill"),
                ("latitude", "31.2"),
                ("longitude", "121.4"),
            ],
        ),
        (
            "projects",
            vec![
                ("id", "p1"),
                ("community", "hill"),
                ("organization", "helpers"),
                ("starts", "2026-11-01"),
                ("participation", "70"),
            ],
        ),
    ];
    for (kind, fields) in &made {
        let path = format!("/admin/{kind}");
        let shown = browser.submit(&path, &path, fields).await;
        assert_eq!(shown.status, SEE_OTHER, "{shown:?}");
        assert!(browser.see(shown.location.as_deref().unwrap()).await.contains("已保存"));
    }
    assert_eq!(api.get("sites/hill-1").await.body["latitude"], 31.2);
    assert_eq!(api.get("projects/p1").await.body["targets"]["participation"], 0.7);

    let mut english = browser.clone();
    english.english();
    assert!(english.see("/admin/communities/hill").await.contains("<h1>Community hill</h1>"));

    // Changed under somebody's hands: what was typed is kept, and nobody is undone unasked.
    let page = browser.see("/admin/communities/hill").await;
    let tag = page.split("name=\"tag\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    api.put("communities/hill", serde_json::json!({"name": "别的名字", "committee": "north"})).await;
    let fields = [("tag", tag.as_str()), ("name", "我的名字"), ("committee", "north")];
    let refused = browser.submit("/admin/communities/hill", "/admin/communities/hill", &fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("我的名字") && refused.body.contains("别人改过"), "{}", refused.body);
    assert_eq!(api.get("communities/hill").await.body["name"], "别的名字");

    // What others depend on stays, and says so; the rest goes.
    let asked = "/admin/sites/gate/delete";
    assert_eq!(browser.submit(asked, asked, &[]).await.status, StatusCode::CONFLICT);
    assert_eq!(api.get("sites/gate").await.status, StatusCode::OK);
    let asked = "/admin/sites/hill-1/delete";
    assert_eq!(browser.submit(asked, asked, &[]).await.status, SEE_OTHER);
    assert_eq!(api.get("sites/hill-1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn mistakes_are_named_beside_their_field_and_what_was_typed_is_kept() {
    let api = Api::with_registry().await;
    let mut browser = Browser::signed_in(&api, "admin", None, &[Role::Admin]).await;
    let path = "/admin/organizations";
    for (fields, field, words) in [
        (vec![("id", "North!"), ("name", "某组织"), ("kind", "committee")], "id", "编号只能用"),
        (vec![("id", "north"), ("name", "某组织"), ("kind", "committee")], "id", "已经有了"),
        (vec![("id", "new"), ("kind", "committee")], "name", "请填写名称"),
        (vec![("id", "new"), ("name", "某组织")], "kind", "请选择"),
    ] {
        let shown = browser.submit(path, path, &fields).await;
        assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        assert!(shown.body.contains(&format!("href=\"#{field}\"")) && shown.body.contains(words), "{}", shown.body);
        assert!(fields.iter().all(|(_, value)| shown.body.contains(value)), "{}", shown.body);
    }
    browser.english();
    let shown = browser.submit(path, path, &[("id", "new"), ("kind", "committee")]).await;
    assert!(shown.body.contains("Give a name"), "{}", shown.body);
}

#[tokio::test]
async fn names_with_markup_are_shown_as_they_were_typed() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "<b>admin</b>", None, &[Role::Admin]).await;
    let name = "<script>alert(1)</script> \u{202e}مرحبا 🗑️ \"'&";
    let fields = [("id", "odd"), ("name", name), ("kind", "committee")];
    assert_eq!(browser.submit("/admin/organizations", "/admin/organizations", &fields).await.status, SEE_OTHER);
    for page in ["/admin/organizations", "/admin/organizations/odd", "/admin/communities"] {
        let page = browser.see(page).await;
        assert!(!page.contains("<script>alert") && !page.contains("<b>admin"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    }
}

#[tokio::test]
async fn a_devices_secret_is_shown_once_with_a_code_to_scan() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "admin", None, &[Role::Admin]).await;
    let fields = [("id", "bin-9"), ("site", "gate"), ("kind", "bin"), ("streams", "food"), ("streams", "residual")];
    let made = browser.submit("/admin/devices", "/admin/devices", &fields).await;
    assert_eq!((made.status, made.location), (StatusCode::OK, None));
    assert_eq!(made.headers["cache-control"], "no-store");
    let secret = |page: &str| page.split("<code id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let first = secret(&made.body);
    assert!(first.len() > 20 && made.body.contains("<svg") && made.body.contains("127.0.0.1:1883"), "{}", made.body);
    assert_eq!(api.get("devices/bin-9").await.body["streams"], serde_json::json!(["food", "residual"]));
    let again = browser.see("/admin/devices/bin-9").await;
    assert!(!again.contains(&first));
    let rotated = browser.submit("/admin/devices/bin-9", "/admin/devices/bin-9/secret", &[("replaced", "true")]).await;
    assert_eq!(rotated.status, StatusCode::OK);
    assert_ne!(secret(&rotated.body), first);
    assert!(api.changed.lock().unwrap().last().unwrap().1, "the hardware was replaced");
}

#[tokio::test]
async fn an_import_is_shown_before_it_is_stored() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "admin", None, &[Role::Admin]).await;
    let page = "/admin/households?community=garden";
    let header = "household,building,enrolled_from,enrolled_until,cards\n";
    let bad = browser
        .upload(
            page,
            "/admin/households/check",
            &[("community", "garden"), ("file", &format!("{header}h1,1号楼,yesterday,,c1\n"))],
        )
        .await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.body.contains("请写成 2026-11-20 这样的日期"), "{}", bad.body);
    let good = format!("{header}h1,1号楼,2026-01-01,,c1;c2\nh2,2号楼,2026-01-01,,\n");
    let checked = browser.upload(page, "/admin/households/check", &[("community", "garden"), ("file", &good)]).await;
    assert_eq!(checked.status, StatusCode::OK, "{checked:?}");
    assert!(checked.body.contains("1号楼") && !checked.body.contains("c1;c2"), "{}", checked.body);
    assert_eq!(api.get("communities/garden/households").await.each("household"), [""; 0], "nothing is stored yet");
    let content = checked.body.split("name=\"content\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let stored =
        browser.upload(page, "/admin/households/import", &[("community", "garden"), ("content", content)]).await;
    assert_eq!(stored.status, SEE_OTHER, "{stored:?}");
    assert_eq!(api.get("communities/garden/households").await.each("household"), ["h1", "h2"]);
    let asked = "/communities/garden/households/h1/erase";
    assert!(browser.see(asked).await.contains("不能恢复"));
    assert_eq!(browser.submit(asked, asked, &[]).await.status, SEE_OTHER);
    assert_eq!(api.get("communities/garden/households").await.each("household"), ["h2"]);
    assert_eq!(browser.get(asked).await.status, StatusCode::NOT_FOUND, "nobody is asked to erase whom there is not");
}

#[tokio::test]
async fn accounts_and_tokens_are_made_and_ended() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "admin", None, &[Role::Admin]).await;
    let path = "/admin/accounts";
    let fields = [
        ("name", "王丽"),
        ("password", PASSWORD),
        ("organization", "north"),
        ("roles", "organization"),
        ("roles", "scheduler"),
    ];
    assert_eq!(browser.submit(path, path, &fields).await.status, SEE_OTHER);
    let twice = browser.submit(path, path, &fields).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!twice.body.contains(PASSWORD), "a password is never shown again");
    let mut wang = Browser::new(&api);
    assert_eq!(wang.sign_in("王丽", PASSWORD).await.status, SEE_OTHER);
    assert_eq!(wang.get("/admin").await.status, StatusCode::NOT_FOUND);
    assert_eq!(wang.get("/").await.status, StatusCode::OK);
    let own = "/admin/accounts/%E7%8E%8B%E4%B8%BD";
    assert_eq!(browser.submit(own, own, &[("enabled", "false")]).await.status, SEE_OTHER);
    assert_eq!(wang.get("/").await.status, SEE_OTHER, "signed out everywhere");
    assert_eq!(wang.sign_in("王丽", PASSWORD).await.status, StatusCode::UNAUTHORIZED);

    let path = "/admin/tokens";
    let made = browser.submit(path, path, &[("organization", "north"), ("roles", "linkage")]).await;
    let token = made.body.split("<code id=\"token\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let caller = api.store.read(move |connection| tokens::caller(connection, &token)).await.unwrap().unwrap();
    assert_eq!(caller.organization.as_deref(), Some("north"));
    let listed = browser.see(path).await;
    assert!(listed.contains(&caller.who) && !listed.contains("fenlei_"), "{listed}");
    assert!(listed.contains("<td>联动平台接口</td>") && !listed.contains("<td>linkage</td>"), "{listed}");
    let revoke = format!("/admin/tokens/{}/revoke", caller.who);
    assert_eq!(browser.submit(path, &revoke, &[]).await.status, SEE_OTHER);
    let log = browser.see("/admin/audit").await;
    for line in ["account.add", "account.disable", "token.add", "token.revoke", "王丽"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let filtered = browser.see("/admin/audit?action=token.").await;
    assert!(filtered.contains("token.revoke") && !filtered.contains("account.add"));
}

#[tokio::test]
async fn an_admin_of_one_organization_gives_nobody_a_wider_view_than_its_own() {
    let api = Api::with_registry().await;
    account(&api, "southerner", Some("south"), &[Role::Organization]).await;
    account(&api, "everywhere", None, &[Role::Admin]).await;
    let foreign = api.token(Some("south"), &[Role::Organization]).await;
    let browser = Browser::signed_in(&api, "north-admin", Some("north"), &[Role::Admin]).await;
    for (path, name) in [("/admin/accounts", "wider"), ("/admin/tokens", "")] {
        for organization in ["south", "*", ""] {
            let fields = [("name", name), ("password", PASSWORD), ("organization", organization), ("roles", "admin")];
            let refused = browser.submit(path, path, &fields).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {organization}");
        }
        let page = browser.see(path).await;
        assert!(!page.contains("southerner") && !page.contains("everywhere") && !page.contains("南居委会"), "{page}");
    }
    let listed = api.store.read(tokens::list).await.unwrap();
    assert_eq!(listed.len(), 2, "the test's own and the foreign one");
    let theirs = listed.iter().find(|one| one.organization.as_deref() == Some("south")).unwrap();
    let revoke = format!("/admin/tokens/{}/revoke", theirs.id);
    assert_eq!(browser.submit("/admin/tokens", &revoke, &[]).await.status, StatusCode::NOT_FOUND);
    for name in ["southerner", "everywhere"] {
        let path = format!("/admin/accounts/{name}");
        assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
        let taken = browser.submit("/admin/accounts", &path, &[("password", "taken over by north")]).await;
        assert_eq!(taken.status, StatusCode::NOT_FOUND);
    }
    assert!(api.store.read(move |connection| tokens::caller(connection, &foreign)).await.unwrap().is_some());
    let log = browser.see("/admin/audit").await;
    assert!(log.contains("north-admin") && !log.contains("everywhere"), "{log}");
    let fields = [("name", "helper"), ("password", PASSWORD), ("organization", "north"), ("roles", "organization")];
    assert_eq!(browser.submit("/admin/accounts", "/admin/accounts", &fields).await.status, SEE_OTHER);
}

#[tokio::test]
async fn somebody_changes_their_own_password_and_signs_out_everywhere() {
    let api = Api::with_registry().await;
    let browser = Browser::signed_in(&api, "li", Some("north"), &[Role::Organization]).await;
    let mut phone = Browser::new(&api);
    phone.sign_in("li", PASSWORD).await;
    let change = |old: &'static str, new: &'static str| [("old", old), ("password", new)];
    for (old, new, words) in
        [("not the password", "another horse battery", "现在的密码不正确"), (PASSWORD, "short", "密码 10 到 256")]
    {
        let refused = browser.submit("/account", "/account/password", &change(old, new)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    let changed = browser.submit("/account", "/account/password", &change(PASSWORD, "another horse battery")).await;
    assert_eq!(changed.status, SEE_OTHER);
    assert_eq!((browser.get("/").await.status, phone.get("/").await.status), (SEE_OTHER, SEE_OTHER));
    let (_, stored) = api.store.read(|connection| accounts::find(connection, "li")).await.unwrap().unwrap();
    assert!(passwords::verify(Some(&stored), "another horse battery"));
    phone.sign_in("li", "another horse battery").await;
    assert_eq!(phone.submit("/account", "/account/sign-out", &[]).await.status, SEE_OTHER);
    assert_eq!(phone.get("/").await.status, SEE_OTHER);
}

#[tokio::test]
async fn a_name_that_looks_like_somebody_elses_is_nobody_elses() {
    let api = Api::with_registry().await;
    let li = Browser::signed_in(&api, "li", Some("north"), &[Role::Organization]).await;
    let odd = Browser::signed_in(&api, "account:li", Some("south"), &[Role::Organization]).await;
    let change = [("old", PASSWORD), ("password", "another horse battery")];
    assert_eq!(odd.submit("/account", "/account/password", &change).await.status, SEE_OTHER);
    assert_eq!((li.get("/account").await.status, odd.get("/account").await.status), (StatusCode::OK, SEE_OTHER));
    let (_, stored) = api.store.read(|connection| accounts::find(connection, "li")).await.unwrap().unwrap();
    assert!(passwords::verify(Some(&stored), PASSWORD), "the other one's password is as it was");
}
