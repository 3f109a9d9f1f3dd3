//! From the text of a profile file to a checked profile, section by section.

use std::collections::BTreeMap;

use strongroom_types::{ProfileName, Role, limits};
use toml::{Spanned, de::DeTable};

use super::{
    ActRule, Activities, CaseReview, Code, Confidentiality, CustodianOf, DailyInspection, Deadline, DeadlineException,
    Devices, Due, Evening, Evidence, EvidenceTerm, Exemption, Floor, Form, Ingest, Inspection, Interruption, Labels,
    Layout, LongTerm, Medium, Mistakes, Naming, Office, Over, Person, Profile, RecipientKind, Regulation, RequestAct,
    Source, StandingView, Start, TEXT_BYTES_MAX, Topic, Trigger, chain,
    reader::{Book, Section},
};
use crate::{Act, tables::DeviceType};

const HOURS: std::ops::RangeInclusive<u32> = 1..=720;
/// Fields that a display name can be made of, besides those that labels ask for.
const NAMING_FIELDS: [&str; 2] = ["unit", "inspect_date"];
const LAYOUT_FIELDS: [&str; 4] = ["year", "month", "day", "case"];

/// What the text leaves open, by place.
type Open = BTreeMap<String, Source>;

pub(super) fn profile(text: &str) -> Result<Profile, Mistakes> {
    let book = Book::new(text);
    if text.len() > TEXT_BYTES_MAX {
        book.note(&(0..0), "", format!("a profile takes at most {TEXT_BYTES_MAX} bytes, this one has {}", text.len()));
        return book.close(None).map(|read: Option<Profile>| read.expect("a text that is too long was refused"));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let broken = !errors.is_empty();
    for error in errors {
        book.note(&error.span().unwrap_or_default(), "", error.message());
    }
    // Of a text that is no TOML only the syntax is told: what else seems wrong with it may follow from that.
    let read = if broken { None } else { Some(whole(&book, &table)) };
    let read = book.close(read)?;
    Ok(read.expect("a text with a mistake was refused"))
}

fn whole(book: &Book<'_>, table: &Spanned<DeTable<'_>>) -> Profile {
    let root = Section::root(book, table);
    let name = root.text("name");
    let name: ProfileName = name.parse().unwrap_or_else(|error| {
        if !name.is_empty() {
            root.wrong("name", format!("{error}"));
        }
        "unnamed".parse().expect("a name")
    });
    let mut open = Open::new();
    let forms = forms(&root);
    let labels = stated(&root, "labels", &mut open, labels);
    let inspection = stated(&root, "inspection", &mut open, inspection);
    if let Some(inspection) = inspection.as_ref().filter(|inspection| inspection.ratio_percent.is_none()) {
        open.insert("inspection.ratio-percent".to_owned(), inspection.source.clone());
    }
    let profile = Profile {
        name,
        agency: root.text("agency"),
        floor: stated(&root, "floor", &mut open, floor),
        acts: acts(&root, &forms, &mut open),
        standing_views: standing_views(&root, &mut open),
        regulation: stated(&root, "regulation", &mut open, regulation),
        roles: offices(&root),
        evidence: stated(&root, "evidence", &mut open, evidence),
        long_term: stated(&root, "long-term", &mut open, long_term),
        ingest: stated(&root, "ingest", &mut open, ingest),
        naming: stated(&root, "naming", &mut open, |section| naming(section, labels.as_ref())),
        layout: stated(&root, "layout", &mut open, layout),
        activities: stated(&root, "activities", &mut open, activities),
        exemption: stated(&root, "exemption", &mut open, exemption),
        interruption: stated(&root, "interruption", &mut open, interruption),
        confidentiality: confidentiality(&root, &mut open),
        inspection,
        review: stated(&root, "review", &mut open, |section| review(section, &forms)),
        devices: stated(&root, "devices", &mut open, devices),
        articles: articles(&root),
        labels,
        forms,
        open,
    };
    if !root.has("floor") {
        root.wrong_whole("floor: takes either months = N, or unspecified = true where the text gives no number");
    }
    root.done();
    profile
}

/// A section that the file has and does not leave open.
fn stated<'a, T>(
    within: &Section<'a>,
    key: &'static str,
    open: &mut Open,
    read: impl FnOnce(&Section<'a>) -> T,
) -> Option<T> {
    let section = within.section(key)?;
    let value = match section.left_open() {
        Some(source) => {
            open.insert(section.place().to_owned(), source);
            None
        }
        None => Some(read(&section)),
    };
    section.done();
    value
}

fn floor(section: &Section<'_>) -> Floor {
    if !section.has("months") {
        section.wrong_whole("takes either months = N or unspecified = true");
    }
    Floor {
        months: section.maybe_number("months", &(1..=1200), "calendar months").unwrap_or(1),
        source: section.source(),
        future_items_only: section.flag("future-items-only"),
    }
}

fn regulation(section: &Section<'_>) -> Regulation {
    let regulation = Regulation {
        title: section.text("title"),
        number: section.maybe_text("number"),
        published: section.day("published"),
        effective: section.day("effective"),
        source: section.source(),
    };
    if regulation.effective.is_none() && !section.has("effective") && regulation.source.note.is_empty() {
        section.wrong_whole("takes effective = YYYY-MM-DD, or a note that says why the day is not known");
    }
    regulation
}

fn offices(root: &Section<'_>) -> BTreeMap<Role, Office> {
    let Some(roles) = root.section("roles") else { return BTreeMap::new() };
    let office = |(name, section): (&str, Section<'_>)| {
        let role = name.parse::<Role>().map_err(|error| section.wrong_whole(error.to_string())).ok();
        let office = Office { words: section.text("words"), source: section.source() };
        section.done();
        role.map(|role| (role, office))
    };
    roles.named().into_iter().filter_map(office).collect()
}

fn evidence(section: &Section<'_>) -> Evidence {
    let inferred = section.flag("inferred");
    let evidence = Evidence {
        term: required(
            section,
            "term",
            section.one_of("term", &EvidenceTerm::ALL, EvidenceTerm::name),
            EvidenceTerm::CaseFile,
        ),
        scope: section.maybe_text("scope").unwrap_or_default(),
        stated: !inferred,
        source: section.source(),
    };
    if inferred && !evidence.source.interpreted {
        section.wrong("inferred", "what is inferred is interpreted too: say interpreted = true");
    }
    evidence
}

fn long_term(section: &Section<'_>) -> LongTerm {
    let mut triggers: Vec<Trigger> = Vec::new();
    for each in section.sections("triggers") {
        let Code { code, words } = each.code();
        if triggers.iter().any(|other| other.code == code) {
            each.wrong("code", format!("names {code} twice"));
        }
        triggers.push(Trigger { code, words, prompts: each.texts("prompts"), source: each.source() });
        each.done();
    }
    if triggers.is_empty() {
        section.wrong_whole("names no trigger: [[long-term.triggers]]");
    }
    let media = section.some_of("media", &Medium::ALL, Medium::name);
    if !media.contains(&Medium::Cluster) {
        section.wrong("media", "takes \"cluster\" at least: a disc is kept besides and never instead (G12)");
    }
    LongTerm { triggers, media, source: section.source() }
}

fn ingest(section: &Section<'_>) -> Ingest {
    let deadline = deadline(section);
    let evening = section.section("evening").map(|evening| {
        let minute = |key| {
            evening.minute(key).unwrap_or_else(|| {
                if !evening.has(key) {
                    evening.wrong(key, "is missing: it takes a time of day such as \"22:00\"");
                }
                0
            })
        };
        let read = Evening { after_minute: minute("after"), due_minute: minute("due"), source: evening.source() };
        evening.done();
        read
    });
    if evening.is_some() && deadline.due != Due::SameDay {
        section.wrong("evening", "is for a deadline of due = \"same-day\" only");
    }
    Ingest {
        deadline,
        exceptions: section.sections("exceptions").iter().map(exception).collect(),
        evening,
        saved_to: section.maybe_text("saved-to").unwrap_or_default(),
        sources: section.codes("sources"),
        source: section.source(),
    }
}

fn exception(section: &Section<'_>) -> DeadlineException {
    let Code { code, words } = section.code();
    let exception = DeadlineException {
        code,
        words,
        start: start(section),
        hours: section.number("hours", &HOURS, "hours"),
        source: section.source(),
    };
    section.done();
    exception
}

fn start(section: &Section<'_>) -> Start {
    required(section, "start", section.one_of("start", &Start::ALL, Start::name), Start::ActivityEnd)
}

/// `start` with `hours` or `due = "same-day"`, and what is warned of before.
fn deadline(section: &Section<'_>) -> Deadline {
    let same_day = section.one_of("due", &[()], |()| "same-day").is_some();
    let hours = section.maybe_number("hours", &HOURS, "hours");
    let due = match (same_day, hours) {
        (true, None) => Due::SameDay,
        (false, Some(hours)) => Due::Hours(hours),
        (false, None) if section.has("hours") || section.has("due") => Due::SameDay,
        (true, Some(_)) | (false, None) => {
            section.wrong_whole("takes either hours = N or due = \"same-day\"");
            Due::SameDay
        }
    };
    Deadline {
        start: start(section),
        due,
        warn_start: section.one_of("warn-start", &Start::ALL, Start::name),
        warn_hours: section.numbers("warn-hours", &HOURS, "hours"),
    }
}

fn labels(section: &Section<'_>) -> Labels {
    let by = section.section("deadline").map(|section| {
        let read = deadline(&section);
        section.done();
        read
    });
    Labels {
        deadline: by,
        required: section.fields("required"),
        accepted: section.texts("accepted"),
        source: section.source(),
    }
}

fn naming(section: &Section<'_>, labels: Option<&Labels>) -> Naming {
    let format = section.text("format");
    for name in placeholders(section, "format", &format) {
        let asked = labels.is_some_and(|labels| labels.required.iter().any(|field| field.name == name));
        if !asked && !NAMING_FIELDS.contains(&name.as_str()) {
            let known = NAMING_FIELDS.join(", ");
            section.wrong("format", format!("{{{name}}} is neither of {known} nor a label of labels.required"));
        }
    }
    Naming { format, source: section.source() }
}

fn layout(section: &Section<'_>) -> Layout {
    let path = section.text("path");
    for name in placeholders(section, "path", &path) {
        if !LAYOUT_FIELDS.contains(&name.as_str()) {
            section.wrong("path", format!("{{{name}}} is none of {}", LAYOUT_FIELDS.join(", ")));
        }
    }
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        section.wrong("path", "takes folder names between single slashes");
    }
    Layout { path, source: section.source() }
}

/// Names in braces.
fn placeholders(section: &Section<'_>, key: &str, format: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = format;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else {
            section.wrong(key, "has a brace that is not closed");
            break;
        };
        names.push(rest[start + 1..start + length].to_owned());
        rest = &rest[start + length + 1..];
    }
    if names.is_empty() && !format.is_empty() {
        section.wrong(key, "names no field in braces, such as {unit}");
    }
    names
}

fn activities(section: &Section<'_>) -> Activities {
    Activities { kinds: some_codes(section, "kinds"), source: section.source() }
}

fn some_codes(section: &Section<'_>, key: &'static str) -> Vec<Code> {
    let codes = section.codes(key);
    if codes.is_empty() {
        section.wrong(key, "names nothing: { code = \"…\", words = \"…\" }");
    }
    codes
}

fn exemption(section: &Section<'_>) -> Exemption {
    Exemption {
        reasons: some_codes(section, "reasons"),
        consent: section.sections("consent").iter().map(person).collect(),
        report_to: section.section("report-to").as_ref().map(person),
        required: section.fields("required"),
        source: section.source(),
    }
}

fn person(section: &Section<'_>) -> Person {
    let person = Person { words: section.text("words"), role: section.maybe_role("role") };
    section.done();
    person
}

fn interruption(section: &Section<'_>) -> Interruption {
    Interruption {
        causes: some_codes(section, "causes"),
        gaps: section.codes("gaps"),
        voice_note: section.flag("voice-note"),
        statement: section.flag("statement"),
        report_to: section.section("report-to").as_ref().map(person),
        kept_by: section.section("kept-by").as_ref().map(person),
        source: section.source(),
    }
}

fn forms(root: &Section<'_>) -> BTreeMap<String, Form> {
    let Some(forms) = root.section("forms") else { return BTreeMap::new() };
    let form = |(name, section): (&str, Section<'_>)| {
        let form = Form {
            title: section.text("title"),
            fields: section.fields("fields"),
            kept_by: section.maybe_roles("kept-by"),
            signed_by: section.texts("signed-by"),
            source: section.source(),
        };
        if form.fields.is_empty() {
            section.wrong("fields", "names no field: { name = \"…\", words = \"…\" }");
        }
        section.done();
        (name.to_owned(), form)
    };
    forms.named().into_iter().map(form).collect()
}

fn articles(root: &Section<'_>) -> BTreeMap<Topic, Source> {
    let Some(articles) = root.section("articles") else { return BTreeMap::new() };
    let article = |(name, section): (&str, Section<'_>)| {
        let topic = Topic::ALL.into_iter().find(|topic| topic.name() == name);
        if topic.is_none() {
            section.wrong_whole(format!("is no topic; one of: {}", Topic::ALL.map(Topic::name).join(", ")));
        }
        let source = section.source();
        if source.rule.is_empty() {
            section.wrong_whole("names no rule: rule = \"R-…\"");
        }
        section.done();
        topic.map(|topic| (topic, source))
    };
    articles.named().into_iter().filter_map(article).collect()
}

fn confidentiality(root: &Section<'_>, open: &mut Open) -> Vec<Confidentiality> {
    let mut classes: Vec<Confidentiality> = Vec::new();
    for section in root.sections("confidentiality") {
        if let Some(source) = section.left_open() {
            open.insert("confidentiality".to_owned(), source);
            section.done();
            continue;
        }
        let Code { code, words } = section.code();
        if classes.iter().any(|other| other.code == code) {
            section.wrong("code", format!("names {code} twice"));
        }
        let class = Confidentiality {
            code,
            words,
            refuses: section.some_of("refuses", &RequestAct::ALL, RequestAct::name),
            approvers: section.has("approvers").then(|| chain::read(&section, "approvers")),
            source: section.source(),
        };
        section.done();
        classes.push(class);
    }
    classes
}

fn inspection(section: &Section<'_>) -> Inspection {
    let daily = section.section("daily").map(|daily| {
        let read = DailyInspection { by: daily.roles("by"), source: daily.source() };
        daily.done();
        read
    });
    Inspection {
        by: section.roles("by"),
        words: section.text("words"),
        ratio_percent: section.maybe_number("ratio-percent", &(1..=100), "percent"),
        heads: section.codes("heads"),
        report: section.maybe_text("report").unwrap_or_default(),
        source: section.source(),
        daily,
    }
}

fn review(section: &Section<'_>, forms: &BTreeMap<String, Form>) -> CaseReview {
    CaseReview {
        by: section.roles("by"),
        words: section.text("words"),
        standards: some_codes(section, "standards"),
        form: form_name(section, "form", forms),
        source: section.source(),
    }
}

fn form_name(section: &Section<'_>, key: &'static str, forms: &BTreeMap<String, Form>) -> Option<String> {
    let name = section.maybe_text(key)?;
    if !forms.contains_key(&name) {
        let known: Vec<_> = forms.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
        section.wrong(key, format!("there is no [forms.{name}]; forms here: {known}"));
    }
    Some(name)
}

fn devices(section: &Section<'_>) -> Devices {
    Devices {
        kinds: section.some_of("kinds", &DeviceType::ALL, DeviceType::name),
        custodian: section.section("custodian").as_ref().map(person),
        custodian_of: section
            .one_of("custodian-of", &CustodianOf::ALL, CustodianOf::name)
            .unwrap_or(CustodianOf::Agency),
        collected: section.one_of("collected", &Start::ALL, Start::name),
        internet: section.flag("internet"),
        source: section.source(),
    }
}

fn standing_views(root: &Section<'_>, open: &mut Open) -> Vec<StandingView> {
    let mut views = Vec::new();
    for section in root.sections("standing-view") {
        if let Some(source) = section.left_open() {
            open.insert("standing-view".to_owned(), source);
        } else {
            let over = section.one_of("over", &Over::ALL, Over::name);
            views.push(StandingView {
                roles: section.roles_within("roles", Act::ViewBegin),
                over: required(&section, "over", over, Over::Unit),
                source: section.source(),
            });
        }
        section.done();
    }
    if let Some(section) = root.sections("standing-view").first()
        && open.contains_key("standing-view")
        && !views.is_empty()
    {
        section.wrong_whole("is either given or unspecified, and not both");
    }
    views
}

fn acts(root: &Section<'_>, forms: &BTreeMap<String, Form>, open: &mut Open) -> BTreeMap<RequestAct, Vec<ActRule>> {
    let mut acts = BTreeMap::new();
    let Some(section) = root.section("acts") else { return acts };
    for act in RequestAct::ALL {
        let rules = act_rules(&section, act, forms, open);
        if !rules.is_empty() {
            acts.insert(act, rules);
        }
    }
    let names = RequestAct::ALL.map(RequestAct::name);
    section.unknown(&names, &format!("is no act; acts are {}", names.join(", ")));
    acts
}

fn act_rules(acts: &Section<'_>, act: RequestAct, forms: &BTreeMap<String, Form>, open: &mut Open) -> Vec<ActRule> {
    let sections = acts.sections(act.name());
    let several = sections.len() > 1;
    let (mut rules, mut purposes) = (Vec::new(), Vec::new());
    for section in sections {
        let purpose = section.has("purpose").then(|| purpose(&section));
        match &purpose {
            None if several => section.wrong_whole("takes a purpose, because this act has several sections"),
            Some(code) if purposes.contains(&code.code) => {
                section.wrong("purpose", format!("names {} twice", code.code));
            }
            Some(code) => purposes.push(code.code.clone()),
            None => {}
        }
        if let Some(source) = section.left_open() {
            let of = purpose.map_or_else(String::new, |code| format!(".{}", code.code));
            open.insert(format!("acts.{}{of}", act.name()), source);
        } else {
            rules.push(act_rule(&section, act, purpose, forms));
        }
        section.done();
    }
    rules
}

fn purpose(section: &Section<'_>) -> Code {
    let Some(inner) = section.section("purpose") else { return Code { code: String::new(), words: String::new() } };
    let code = inner.code();
    inner.done();
    code
}

fn act_rule(section: &Section<'_>, act: RequestAct, purpose: Option<Code>, forms: &BTreeMap<String, Form>) -> ActRule {
    // The reason is asked of everybody: a request without one cannot be judged.
    let mut fields = section.field_names("fields");
    fields.push("reason".to_owned());
    fields.sort_unstable();
    fields.dedup();
    if fields.len() > limits::LABELS_MAX {
        section.wrong("fields", format!("takes at most {} fields", limits::LABELS_MAX));
    }
    let register = form_name(section, "register", forms);
    let form = register.as_ref().and_then(|name| forms.get(name));
    let begun = if act == RequestAct::View { Act::ViewBegin } else { Act::CopyOutBegin };
    ActRule {
        requesters: section.roles_within("requesters", Act::RequestSubmit),
        approvers: chain::read(section, "approvers"),
        executors: section.roles_within("executors", begun),
        fields,
        valid_days: section.number("valid-days", &(1..=3650), "days"),
        uses: section.number("uses", &(1..=1000), "sessions"),
        source: section.source(),
        purpose,
        registered: form.map_or_else(Vec::new, |form| form.fields.iter().map(|field| field.name.clone()).collect()),
        register,
        recipients: section.some_of("recipients", &RecipientKind::ALL, RecipientKind::name),
        keep_copy: section.flag("keep-copy"),
        delegation: section.flag("delegation"),
        appointment: section.flag("appointment"),
        paper: section.flag("paper"),
        urgent_oral: section.flag("urgent-oral"),
        owning_unit: section.flag("owning-unit"),
    }
}

/// What stands for a word that is not there, having noted that it is not.
fn required<T>(section: &Section<'_>, key: &'static str, found: Option<T>, instead: T) -> T {
    found.unwrap_or_else(|| {
        if !section.has(key) {
            section.wrong(key, "is missing");
        }
        instead
    })
}
