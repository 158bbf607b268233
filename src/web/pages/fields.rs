//! The fields of a form: each with its label, what it takes, and what is wrong with it.

use maud::{Markup, html};

use crate::web::language::Language;

/// What a field takes.
pub(super) enum Input<'a> {
    Text {
        value: &'a str,
        max: u32,
    },
    /// A text that may take several lines to read.
    Area {
        value: &'a str,
        max: u32,
    },
    /// A new password, which is never shown again.
    Password,
    Date(&'a str),
    /// A time of day.
    Time(&'a str),
    /// A number between two, in steps.
    Number {
        value: &'a str,
        min: &'a str,
        max: &'a str,
        step: &'a str,
    },
    /// One of several: the value that is sent, and how it is called.
    Select {
        value: &'a str,
        options: Vec<(String, String)>,
    },
    /// Any of several.
    Checks {
        values: &'a [String],
        options: Vec<(String, String)>,
    },
}

pub(super) struct Field<'a> {
    pub name: &'static str,
    pub label: &'a str,
    pub hint: Option<&'a str>,
    pub required: bool,
    pub input: Input<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn new(name: &'static str, label: &'a str, input: Input<'a>) -> Self {
        Self { name, label, hint: None, required: true, input }
    }

    pub(super) fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(super) fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// What a field was found wrong: the name of the field, and what to change.
pub(super) type Wrong = (&'static str, String);

pub(super) fn fields(lang: Language, fields: &[Field<'_>], wrong: Option<&Wrong>) -> Markup {
    html! { @for field in fields { (one(lang, field, wrong.filter(|(name, _)| *name == field.name))) } }
}

fn one(lang: Language, field: &Field<'_>, wrong: Option<&Wrong>) -> Markup {
    let (name, hint_id) = (field.name, format!("{}-hint", field.name));
    let described = (field.hint.is_some() || wrong.is_some()).then_some(&hint_id);
    let label = html! {
        (field.label)
        @if !field.required { span.optional { (lang.t("(可不填)", " (optional)")) } }
    };
    let hint = html! {
        @if described.is_some() {
            p.hint id=(hint_id) {
                @if let Some(hint) = field.hint { (hint) " " }
                @if let Some((_, wrong)) = wrong { strong.wrong { (wrong) } }
            }
        }
    };
    let invalid = wrong.map(|_| "true");
    if let Input::Checks { values, options } = &field.input {
        return html! {
            fieldset id=(name) aria-describedby=[described] {
                legend { (label) } (hint)
                @for (value, text) in options {
                    label.choice { input type="checkbox" name=(name) value=(value) checked[values.contains(value)]; (text) }
                }
            }
        };
    }
    html! {
        div.field {
            label for=(name) { (label) }
            (hint)
            @match &field.input {
                Input::Text { value, max } => { input id=(name) name=(name) value=(value) maxlength=(max) required[field.required] aria-describedby=[described] aria-invalid=[invalid]; }
                Input::Area { value, max } => { textarea id=(name) name=(name) maxlength=(max) rows="3" required[field.required] aria-describedby=[described] aria-invalid=[invalid] { (value) } }
                Input::Password => { input id=(name) name=(name) type="password" minlength="10" maxlength="256" autocomplete="new-password" required[field.required] aria-describedby=[described] aria-invalid=[invalid]; }
                Input::Date(value) => { input id=(name) name=(name) type="date" value=(value) required[field.required] aria-describedby=[described] aria-invalid=[invalid]; }
                Input::Time(value) => { input id=(name) name=(name) type="time" value=(value) required[field.required] aria-describedby=[described] aria-invalid=[invalid]; }
                Input::Number { value, min, max, step } => { input id=(name) name=(name) type="number" value=(value) min=(min) max=(max) step=(step) required[field.required] aria-describedby=[described] aria-invalid=[invalid]; }
                Input::Select { value, options } => {
                    select id=(name) name=(name) required[field.required] aria-describedby=[described] aria-invalid=[invalid] {
                        @if !options.iter().any(|(option, _)| option == value) { option value="" { (lang.t("请选择", "Choose")) } }
                        @for (option, text) in options { option value=(option) selected[option == value] { (text) } }
                    }
                }
                Input::Checks { .. } => {}
            }
        }
    }
}

/// What stands above a form that was not accepted, with a link to the field.
pub(super) fn summary(lang: Language, wrong: Option<&Wrong>) -> Markup {
    html! {
        @if let Some((field, wrong)) = wrong {
            div.error role="alert" {
                p { (lang.t("没有保存。", "Nothing was saved. ")) a href={ "#" (field) } { (wrong) } }
            }
        }
    }
}
