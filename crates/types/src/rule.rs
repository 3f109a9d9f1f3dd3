//! What the general rules say: those that follow from several texts together (`G…`) and those that no text settles (`B…`,
//! `C…`). The words of an article are in the profile of its agency.

/// The words of a general rule, in Chinese and in English; none for an article or an unknown id.
///
/// ```
/// assert_eq!(strongroom_types::rule::words("G7").map(|(_, en)| en), Some("long-term has no end"));
/// assert_eq!(strongroom_types::rule::words("R-000-21a"), None);
/// ```
#[must_use]
pub fn words(id: &str) -> Option<(&'static str, &'static str)> {
    WORDS.iter().find(|(rule, ..)| *rule == id).map(|(_, zh, en)| (*zh, *en))
}

const WORDS: &[(&str, &str, &str)] = &[
    (
        "G1",
        "原始音像记录不得改动；由其制作的均为另一份资料",
        "an original is never changed; whatever is made from it is another item",
    ),
    (
        "G2",
        "期限是最低期限；届满只提请鉴定，不自动销毁",
        "a period is a floor; what has reached its end is only put forward for appraisal",
    ),
    (
        "G3",
        "几种期限同时适用的，按最长的保存；期限只延长、不缩短",
        "the longest period that applies counts, and it only grows",
    ),
    ("G4", "保存期限自封存时起算，不以设备时间为准", "a period starts at the seal, whatever the device's clock says"),
    ("G5", "期限按北京时间的日历月计算", "periods are calendar months of Beijing time"),
    ("G6", "作为证据的，与案卷保存期限相同", "evidence is kept as long as the case file"),
    ("G7", "长期保存没有终止日期", "long-term has no end"),
    (
        "G8",
        "查阅、复制调取、移送、对外提供、公开是五种行为，互不包含；申请、批准、办理须由不同的人",
        "view, copy, transfer, provide and publish are five acts, none implied by another; whoever asks, approves and hands \
         out are three people",
    ),
    ("G9", "每次拒绝和每次尝试都有记录", "every refusal and every attempt is recorded"),
    ("G10", "不得私自留存；凭回执方可清空设备", "no private copy: a device is cleared only against a receipt"),
    ("G11", "涉密资料须提高审批层级", "a class of confidentiality asks for further approvals"),
    ("G12", "光盘不能代替集群中的保存", "a disc never replaces the copy in the cluster"),
    ("B9", "系统、安全、审计三员分立，互不兼任", "system, security and audit administrators are kept apart"),
    (
        "B10",
        "日常办理的通用规则：一事一人一环节，更正只追加、不涂改",
        "everyday rules: one step for each person, and corrections are appended",
    ),
    ("C1", "保存期限规则：只能延长，封存后不得改动", "retention only grows, and what is sealed stays as it is"),
    (
        "C2",
        "合规时钟由多数投票节点推进，只决定期限",
        "the compliance clock, which a majority of voters advances, decides expiry alone",
    ),
    ("C3", "存证日志只追加，由多数投票节点会签", "the ledger is appended to and cosigned by a majority of voters"),
    (
        "C4",
        "销毁是唯一的删除：提议、公示、两级批准、两人监销、逐盘核验许可",
        "disposal is the only delete: proposed, waited for, approved by two offices, supervised by two people, verified by \
         each disk",
    ),
    (
        "C5",
        "申请与审批规则：先登记、后查阅，批准有范围、次数和期限",
        "registered before it is seen; a grant has items, uses and an end",
    ),
    ("C6", "证据材料包规则", "packages are complete in themselves"),
    ("C7", "抽查规则：样本不能挑选，人人可以复算", "nobody steers a draw, and anybody draws it again"),
];
