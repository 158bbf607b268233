//! A list that comes as a file: it is read and tried first, and what is wrong with its rows is shown before anything is
//! stored; then the same file comes back whole and is stored.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::form::{Upload, upload_form};
use super::visitor::Visitor;
use crate::domain::rows::{BadRow, Rows};
use crate::sheets::is_workbook;
use crate::store::StoreError;
use crate::store::roster::ImportError;
use crate::store::sql::Connection;
use crate::web::App;
use crate::web::language::Language;
use crate::web::problem::Problem;

/// Mistakes that are shown: whoever mended these sends the file again.
const MISTAKES: usize = 100;

/// How a list is read from each kind of file.
pub(super) struct Reader<T> {
    pub csv: fn(&[u8]) -> Rows<T>,
    pub xlsx: fn(&[u8]) -> Rows<T>,
}

impl<T: Send + 'static> Reader<T> {
    /// The rows of a file, whichever kind it is.
    pub(super) async fn read(&self, bytes: Vec<u8>) -> Result<Rows<T>, Problem> {
        let read = if is_workbook(&bytes) { self.xlsx } else { self.csv };
        let rows = tokio::task::spawn_blocking(move || read(&bytes)).await;
        rows.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the rows could not be read"))
    }
}

/// How an import ends in a transaction that is never committed.
enum Tried<T> {
    Would(T),
    Failed(ImportError),
}

impl<T> From<StoreError> for Tried<T> {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What an import would do, or what is wrong with its rows. Nothing of it is stored.
pub(super) async fn tried<T: Send + 'static>(
    app: &App,
    import: impl FnOnce(&Connection) -> Result<T, ImportError> + Send + 'static,
) -> Result<Result<T, Vec<BadRow>>, Problem> {
    let tried = app.store.write(move |session| match import(session.connection) {
        Ok(would) => Err::<T, _>(Tried::Would(would)),
        Err(error) => Err(Tried::Failed(error)),
    });
    match tried.await {
        Ok(would) | Err(Tried::Would(would)) => Ok(Ok(would)),
        Err(Tried::Failed(ImportError::Rows(bad))) => Ok(Err(bad)),
        Err(Tried::Failed(error)) => Err(error.into()),
    }
}

/// The form that takes a file and has it checked; `hidden` goes with it.
pub(super) fn file_form(visitor: &Visitor, action: &str, hidden: &Markup) -> Markup {
    let lang = visitor.lang;
    upload_form(
        visitor,
        action,
        &html! {
            (hidden)
            div.field {
                label for="file" { (lang.t("文件", "File")) }
                input #file name="file" type="file" required accept=".csv,.xlsx,text/csv,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
            }
            button type="submit" { (lang.t("检查文件", "Check the file")) }
        },
    )
}

/// The form that stores a file which was checked; it holds the file itself, so that what was checked is what is stored.
pub(super) fn confirm_form(visitor: &Visitor, action: &str, hidden: &Markup, file: &[u8]) -> Markup {
    upload_form(
        visitor,
        action,
        &html! {
            (hidden)
            input type="hidden" name="content" value=(STANDARD.encode(file));
            button type="submit" { (visitor.lang.t("导入", "Import it")) }
        },
    )
}

/// The file that [`confirm_form`] holds.
pub(super) fn confirmed(upload: &Upload) -> Result<Vec<u8>, Problem> {
    let content = upload.bytes("content").unwrap_or_default();
    STANDARD
        .decode(content)
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| Problem::bad_request("the file did not arrive whole: upload it again"))
}

/// What is wrong with the rows of a file.
pub(super) fn mistakes(lang: Language, bad: &[BadRow]) -> Markup {
    html! {
        div.error role="alert" {
            p { (lang.t("没有保存。请修改下面这些行,再上传一次。", "Nothing was stored. Correct these rows and send the file again.")) }
        }
        div.scroll tabindex="0" { table {
            caption { (lang.t("有问题的行", "Rows to correct")) }
            thead { tr { th scope="col" { (lang.t("行", "Row")) } th scope="col" { (lang.t("问题", "What is wrong")) } } }
            tbody { @for one in bad.iter().take(MISTAKES) { tr {
                td { @if one.row == 0 { (lang.t("整个文件", "the file")) } @else { (one.row) } }
                @match lang.said(&one.error) { Some(words) => td { (words) }, None => td lang="en" { (one.error) } }
            } } }
        } }
        @if bad.len() > MISTAKES { p { (lang.t("还有更多:", "There are more: ")) (bad.len() - MISTAKES) } }
    }
}

impl Language {
    /// What is wrong with a row in this language; `None`: it is told in English only.
    fn said(self, error: &str) -> Option<String> {
        match self {
            Self::Zh => chinese(error),
            Self::En => Some(error.to_owned()),
        }
    }
}

/// The mistakes that people make in a file.
fn chinese(error: &str) -> Option<String> {
    let field = error.split('`').nth(1).unwrap_or_default();
    let words = match error {
        "the file is not CSV in UTF-8" => {
            "文件不是 UTF-8 编码的 CSV:请在 Excel 里另存为“CSV UTF-8”或 .xlsx。".to_owned()
        }
        "the first sheet is empty" => "第一张工作表是空的。".to_owned(),
        _ if error.starts_with("no such household") => "小区名单里没有这一户:请先导入住户。".to_owned(),
        _ if error.starts_with("the file is not an Excel") => {
            "打不开这个 Excel 文件:请存为没有密码的 .xlsx。".to_owned()
        }
        _ if error.starts_with("the workbook") => "Excel 文件没有可读的工作表,或者太大。".to_owned(),
        _ if error.starts_with("the header lacks") => format!("第一行缺少列名 {field}。"),
        _ if error.starts_with("column ") && error.contains("header is unknown") => {
            let column = error.split(' ').nth(1).unwrap_or_default();
            format!("第一行第 {column} 列的列名不认识。")
        }
        _ if error.starts_with("the row has") => "这一行的列数和第一行不一样。".to_owned(),
        _ if error.starts_with("`claimed` and `tested` are answers") => {
            "只有结果是 answered(已回答)时才能填 claimed 和 tested。".to_owned()
        }
        _ if error.contains("is missing") => format!("{field} 没有填。"),
        _ if error.contains("is in the future") => format!("{field} 在将来:请填入户当天的日期。"),
        _ if error.ends_with("must be a date as YYYY-MM-DD") => format!("{field} 请写成 2026-11-20 这样的日期。"),
        _ if error.ends_with("must be visit or survey") => format!("{field} 请填 visit(走访)或 survey(问卷)。"),
        _ if error.ends_with("must be answered, refused or absent") => {
            format!("{field} 请填 answered(已回答)、refused(拒绝)或 absent(不在家)。")
        }
        _ if error.ends_with("must be true, false or empty") => format!("{field} 请填 是、否,或留空。"),
        _ if error.starts_with("`household` must match") => {
            "住户编号只能用小写字母、数字、- 和 _,最多 48 个字符。".to_owned()
        }
        _ if error.ends_with("is before `enrolled_from`") => "登记结束早于登记开始。".to_owned(),
        _ if error.contains("belongs to another household") || error.starts_with("shares a card") => {
            "有一张卡在同一时间属于另一户。".to_owned()
        }
        _ => return None,
    };
    Some(words)
}
