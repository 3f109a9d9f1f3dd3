//! What a profile says, value by value, in both languages; and what it leaves open, with what is refused for it.

use super::{
    ActRule, CustodianOf, Deadline, Devices, Due, Evidence, EvidenceTerm, Floor, Ingest, Interruption, Medium, Over,
    Person, Profile, RequestAct, Source, Start,
};

/// One value with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Its place in the file, such as `floor`.
    pub place: String,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
    /// Where it is written.
    pub source: Source,
}

/// Something that the profile leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its place in the file, such as `acts.copy`.
    pub place: String,
    /// What follows, in Chinese.
    pub zh: String,
    /// What follows, in English.
    pub en: String,
    /// What the text says instead; none where the file does not mention it.
    pub source: Option<Source>,
}

/// The words of an article that the profile cites, by its requirement id; none where it does not cite it.
#[must_use]
pub fn article(profile: &Profile, rule: &str) -> Option<String> {
    let stated = explained(profile).into_iter().map(|value| value.source);
    let sources = stated.chain(profile.open.values().cloned()).chain(profile.articles.values().cloned());
    let mut cited = sources.filter(|source| source.rule == rule && !source.article.is_empty());
    cited.next().map(|source| source.article)
}

/// Every value that the profile states.
#[must_use]
pub fn explained(profile: &Profile) -> Vec<Explained> {
    let mut page = Page(Vec::new());
    let p = profile;
    if let Some(text) = &p.regulation {
        let day =
            |day: &Option<super::Day>, unknown: &str| day.map_or_else(|| unknown.to_owned(), |day| day.to_string());
        let zh =
            format!("《{}》，公布 {}，施行 {}", text.title, day(&text.published, "不详"), day(&text.effective, "不详"));
        let (published, effective) = (day(&text.published, "unknown"), day(&text.effective, "unknown"));
        page.line(
            "regulation",
            zh,
            format!("{}, published {published}, effective {effective}", text.title),
            &text.source,
        );
    }
    if let Some(Floor { months, source, .. }) = &p.floor {
        page.line("floor", format!("保存不少于{months}个月"), format!("kept for at least {months} months"), source);
    }
    if let Some(evidence) = &p.evidence {
        evidence_line(&mut page, evidence);
    }
    for trigger in p.long_term.iter().flat_map(|long| &long.triggers) {
        let (zh, en) = (format!("长期保存：{}", trigger.words), format!("kept without an end: {}", trigger.code));
        page.line(&format!("long-term.{}", trigger.code), zh, en, &trigger.source);
    }
    if let Some(long) = &p.long_term {
        let (zh, en) = if long.media.contains(&Medium::OpticalDisc) {
            ("长期留存另刻光盘，不因此删除", "long-term footage is burnt to disc too, and never disposed of for it")
        } else {
            ("长期留存于集群", "long-term footage is kept here")
        };
        page.line("long-term.media", zh.to_owned(), en.to_owned(), &long.source);
    }
    if let Some(ingest) = &p.ingest {
        ingest_lines(&mut page, ingest);
    }
    if let Some(labels) = &p.labels {
        let zh: Vec<_> = labels.required.iter().map(|field| field.words.as_str()).collect();
        let en: Vec<_> = labels.required.iter().map(|field| field.name.as_str()).collect();
        page.line(
            "labels.required",
            format!("标注完成须有：{}", zh.join("、")),
            format!("labelled takes {}", en.join(", ")),
            &labels.source,
        );
        if let Some(by) = &labels.deadline {
            page.line(
                "labels.deadline",
                format!("标注期限：{}", due_zh(by)),
                format!("labelled {}", due_en(by)),
                &labels.source,
            );
        }
    }
    if let Some(naming) = &p.naming {
        page.line("naming", format!("文件命名：{}", naming.format), format!("named {}", naming.format), &naming.source);
    }
    if let Some(layout) = &p.layout {
        page.line("layout", format!("目录：{}", layout.path), format!("folders {}", layout.path), &layout.source);
    }
    if let Some(activities) = &p.activities {
        let zh: Vec<_> = activities.kinds.iter().map(|kind| kind.words.as_str()).collect();
        let en: Vec<_> = activities.kinds.iter().map(|kind| kind.code.as_str()).collect();
        page.line(
            "activities",
            format!("应当记录：{}", zh.join("；")),
            format!("must be recorded: {}", en.join(", ")),
            &activities.source,
        );
    }
    recording_lines(&mut page, p);
    for (act, rule) in p.acts.iter().flat_map(|(act, rules)| rules.iter().map(move |rule| (*act, rule))) {
        act_line(&mut page, p, act, rule);
    }
    use_lines(&mut page, p);
    page.0
}

fn evidence_line(page: &mut Page, evidence: &Evidence) {
    let scope = if evidence.scope.is_empty() { "案件" } else { evidence.scope.as_str() };
    match evidence.term {
        EvidenceTerm::CaseFile => {
            let en = "evidence is kept as long as the dossier of its case".to_owned();
            page.line("evidence", format!("{scope}证据与案卷保存期限相同"), en, &evidence.source);
        }
    }
}

fn ingest_lines(page: &mut Page, ingest: &Ingest) {
    let deadline = &ingest.deadline;
    page.line(
        "ingest",
        format!("入库期限：{}", due_zh(deadline)),
        format!("brought in {}", due_en(deadline)),
        &ingest.source,
    );
    for other in &ingest.exceptions {
        let (zh, en) = (start_zh(other.start), start_en(other.start));
        page.line(
            &format!("ingest.{}", other.code),
            format!("{}：{zh}后{}小时内", other.words, other.hours),
            format!("{}: within {} hours of {en}", other.code, other.hours),
            &other.source,
        );
    }
    if let Some(evening) = &ingest.evening {
        let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let (after, due) = (time(evening.after_minute), time(evening.due_minute));
        let en = format!("what ends after {after} is due at {due} of the next day");
        page.line("ingest.evening", format!("{after} 以后结束的，次日 {due} 前"), en, &evening.source);
    }
}

fn recording_lines(page: &mut Page, p: &Profile) {
    if let Some(exemption) = &p.exemption {
        let agree = people_zh(&exemption.consent, "或");
        let zh = if exemption.consent.is_empty() {
            "可以免录，事后报告".to_owned()
        } else {
            format!("经{agree}同意可以免录")
        };
        let en = match exemption.consent.as_slice() {
            [] => "recording may be left out and is reported afterwards".to_owned(),
            people => format!("recording may be left out by consent of {}", people_zh(people, " or ")),
        };
        page.line("exemption", zh, en, &exemption.source);
    }
    if let Some(Interruption { causes, source, .. }) = &p.interruption {
        let zh: Vec<_> = causes.iter().map(|cause| cause.words.as_str()).collect();
        let en: Vec<_> = causes.iter().map(|cause| cause.code.as_str()).collect();
        page.line(
            "interruption",
            format!("可以中断的原因：{}", zh.join("、")),
            format!("may be interrupted for {}", en.join(", ")),
            source,
        );
    }
    for (name, form) in &p.forms {
        let zh: Vec<_> = form.fields.iter().map(|field| field.words.as_str()).collect();
        let en: Vec<_> = form.fields.iter().map(|field| field.name.as_str()).collect();
        page.line(
            &format!("forms.{name}"),
            format!("{}：{}", form.title, zh.join("、")),
            format!("{name}: {}", en.join(", ")),
            &form.source,
        );
    }
}

fn act_line(page: &mut Page, p: &Profile, act: RequestAct, rule: &ActRule) {
    let place = match &rule.purpose {
        Some(purpose) => format!("acts.{}.{}", act.name(), purpose.code),
        None => format!("acts.{}", act.name()),
    };
    let office = |role: &strongroom_types::Role| {
        p.roles.get(role).map_or_else(|| role.to_string(), |office| office.words.clone())
    };
    let zh = |roles: &[strongroom_types::Role]| roles.iter().map(office).collect::<Vec<_>>().join("、");
    let en = |roles: &[strongroom_types::Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
    let before = rule.register.as_ref().and_then(|name| p.forms.get(name)).map(|form| form.title.as_str());
    let register = before.map_or_else(String::new, |title| format!("，先登记《{title}》"));
    let first = rule.register.as_ref().map_or_else(String::new, |name| format!(", after {name} is filled in"));
    page.line(
        &place,
        format!(
            "{}申请，{}批准，{}执行{register}",
            zh(&rule.requesters),
            chain_zh(&rule.approvers, &office),
            zh(&rule.executors)
        ),
        format!(
            "asked by {}, approved by {}, carried out by {}{first}",
            en(&rule.requesters),
            rule.approvers,
            en(&rule.executors)
        ),
        &rule.source,
    );
}

fn use_lines(page: &mut Page, p: &Profile) {
    for view in &p.standing_views {
        let names: Vec<_> = view.roles.iter().map(|role| role.name()).collect();
        let over = match view.over {
            Over::OwnActivity => "本人执法活动",
            Over::OwnCase => "本人承办案件",
            Over::Unit => "本单位",
            Over::Draw => "抽查样本和指名投诉",
            Over::HandedOver => "移送审查的清单",
            Over::Agency => "全局",
        };
        let en = format!("{} may view without a request: {}", names.join(", "), view.over.name());
        page.line("standing-view", format!("{} 常设查阅：{over}", names.join("、")), en, &view.source);
    }
    for class in &p.confidentiality {
        let refused: Vec<_> = class.refuses.iter().map(|act| act.name()).collect();
        let also = class.approvers.as_ref().map_or_else(String::new, |chain| format!("; besides approved by {chain}"));
        let en = format!("refuses {}{also}", if refused.is_empty() { "no act".to_owned() } else { refused.join(", ") });
        page.line(&format!("confidentiality.{}", class.code), format!("密级：{}", class.words), en, &class.source);
    }
    if let Some(inspection) = &p.inspection {
        let heads: Vec<_> = inspection.heads.iter().map(|head| head.words.as_str()).collect();
        let en = format!("inspected by samples under {} heads", heads.len());
        page.line("inspection", format!("{}抽查：{}", inspection.words, heads.join("；")), en, &inspection.source);
        if let Some(daily) = &inspection.daily {
            let en = "heads of units inspect their own unit every day".to_owned();
            page.line("inspection.daily", "各单位负责人对本单位日常检查".to_owned(), en, &daily.source);
        }
    }
    if let Some(review) = &p.review {
        let standards: Vec<_> = review.standards.iter().map(|standard| standard.words.as_str()).collect();
        let en = "recordings of a case are reviewed line by line".to_owned();
        page.line("review", format!("{}审查：{}", review.words, standards.join("、")), en, &review.source);
    }
    if let Some(Devices { custodian_of, internet, source, .. }) = &p.devices {
        let of = match custodian_of {
            CustodianOf::Agency => ("全局一名管理员", "one custodian"),
            CustodianOf::Unit => ("各单位一名管理员", "one custodian for each unit"),
            CustodianOf::Device => ("每台设备专人管理", "one custodian for each device"),
        };
        let net = if *internet {
            ("可以联网", "may be online")
        } else {
            ("不得接入互联网", "never on the Internet")
        };
        page.line("devices", format!("{}，{}", of.0, net.0), format!("{}, {}", of.1, net.1), source);
    }
    for (topic, source) in &p.articles {
        let (zh, en) = topic.words();
        page.line(&format!("articles.{}", topic.name()), zh.to_owned(), en.to_owned(), source);
    }
    for (role, office) in &p.roles {
        page.line(
            &format!("roles.{role}"),
            office.words.clone(),
            format!("{role} is {}", office.words),
            &office.source,
        );
    }
}

/// Everything that the profile leaves open: what the file says is unspecified, and what it does not mention.
#[must_use]
pub fn left_open(profile: &Profile) -> Vec<Left> {
    let mut left: Vec<_> = profile.open.iter().map(|(place, source)| left_at(place, Some(source.clone()))).collect();
    let absent = [
        ("evidence", profile.evidence.is_none()),
        ("long-term", profile.long_term.is_none()),
        ("ingest", profile.ingest.is_none()),
        ("labels", profile.labels.is_none()),
        ("confidentiality", profile.confidentiality.is_empty()),
        ("inspection", profile.inspection.is_none()),
        ("standing-view", profile.standing_views.is_empty()),
        ("exemption", profile.exemption.is_none()),
        ("interruption", profile.interruption.is_none()),
    ];
    let unsaid = |place: &str| !profile.open.contains_key(place);
    left.extend(
        absent.into_iter().filter(|(place, absent)| *absent && unsaid(place)).map(|(place, _)| left_at(place, None)),
    );
    for act in RequestAct::ALL.into_iter().filter(|act| !profile.acts.contains_key(act)) {
        let place = format!("acts.{}", act.name());
        if unsaid(&place) && profile.purposes(act).is_empty() {
            left.push(left_at(&place, None));
        }
    }
    left
}

fn left_at(place: &str, source: Option<Source>) -> Left {
    let (zh, en) = match place {
        "floor" => (
            "全部保存；任何销毁批次一律拒绝（FLOOR_UNSPECIFIED）",
            "everything is kept; every disposal is refused, FLOOR_UNSPECIFIED",
        ),
        "evidence" => (
            "案件所涉资料在案件未结时不得销毁；结案后须写明期限",
            "an open case still holds its items; archiving takes a term all the same",
        ),
        "long-term" => (
            "无长期保存情形；可以暂缓销毁或延长保存",
            "no circumstance asks for keeping without an end; holds and extensions work",
        ),
        "ingest" => ("不计算入库是否逾期；随时可以入库", "nothing is late; ingest always works"),
        "labels" => ("不判定标注是否完成；随时可以标注", "nothing counts as labelled; labelling always works"),
        "confidentiality" => ("不设密级", "there are no classes"),
        "inspection" => ("不设抽查", "no draws"),
        "inspection.ratio-percent" => ("每次抽查须写明比例", "each draw says its ratio"),
        "standing-view" => {
            ("不设常设查阅：一律申请（APPROVAL_MISSING）", "nobody views without a request, APPROVAL_MISSING")
        }
        "exemption" => ("不认可免录", "no recording is left out lawfully"),
        "interruption" => ("中断原因不作限定，一律书面说明", "a gap takes a written statement, whatever its cause"),
        act if act.starts_with("acts.") => (
            "未规定审批人，一律拒绝（ACT_UNSPECIFIED）；入库、标注、暂缓销毁不受影响",
            "refused, ACT_UNSPECIFIED, because no approver is named; ingest, labels and holds work",
        ),
        _ => ("未规定：系统不作推定", "nothing is guessed"),
    };
    Left { place: place.to_owned(), zh: zh.to_owned(), en: en.to_owned(), source }
}

struct Page(Vec<Explained>);

impl Page {
    fn line(&mut self, place: &str, zh: String, en: String, source: &Source) {
        self.0.push(Explained { place: place.to_owned(), zh, en, source: source.clone() });
    }
}

fn people_zh(people: &[Person], word: &str) -> String {
    people.iter().map(|person| person.words.as_str()).collect::<Vec<_>>().join(word)
}

fn chain_zh(chain: &super::Chain, office: &impl Fn(&strongroom_types::Role) -> String) -> String {
    let (parts, word) = match chain {
        super::Chain::Role(role) => return office(role),
        super::Chain::All(parts) => (parts, "和"),
        super::Chain::Any(parts) => (parts, "或"),
    };
    parts.iter().map(|part| chain_zh(part, office)).collect::<Vec<_>>().join(word)
}

const fn start_zh(start: Start) -> &'static str {
    match start {
        Start::ActivityEnd => "执法活动结束",
        Start::WorkDayEnd => "工作日结束",
        Start::MatterEnd => "行政执法事项结束",
        Start::ReturnedToUnit => "返回单位",
    }
}

const fn start_en(start: Start) -> &'static str {
    match start {
        Start::ActivityEnd => "the end of the activity",
        Start::WorkDayEnd => "the end of the working day",
        Start::MatterEnd => "the end of the matter",
        Start::ReturnedToUnit => "the return to the unit",
    }
}

fn due_zh(deadline: &Deadline) -> String {
    match deadline.due {
        Due::SameDay => format!("{}的当天", start_zh(deadline.start)),
        Due::Hours(hours) => format!("{}后{hours}小时内", start_zh(deadline.start)),
    }
}

fn due_en(deadline: &Deadline) -> String {
    match deadline.due {
        Due::SameDay => format!("on the day of {}", start_en(deadline.start)),
        Due::Hours(hours) => format!("within {hours} hours of {}", start_en(deadline.start)),
    }
}
