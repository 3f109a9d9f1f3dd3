//! What the class 密级 of an item does to a request for it (G11): it adds approvals to every act and forbids some. Both are
//! asked for when the request is decided and again when it is carried out, because a class may be set in between.

use strongroom_types::{
    ItemId, Reason, Refusal,
    rows::{RowError, Rows},
};

use crate::{
    access::Stop,
    keeping::{self, Class},
    profile::{ActRule, Confidentiality, Profile, RequestAct},
};

/// The rule with the approvals that the classes of these items add to it.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub(crate) fn raised(
    rows: &(impl Rows + ?Sized),
    profile: &Profile,
    mut rule: ActRule,
    items: &[ItemId],
) -> Result<ActRule, RowError> {
    for item in items {
        let class = class_of(rows, *item)?;
        if let Some(added) = stated(profile, class).and_then(|stated| stated.approvers.clone()) {
            rule.approvers = rule.approvers.and(added);
        }
    }
    Ok(rule)
}

/// Refuses an act that the class of one of these items forbids. A class of which the profile does not speak is made
/// public by nobody.
///
/// # Errors
/// [`Stop`] with `RESTRICTED`.
pub(crate) fn refuse_forbidden(
    rows: &(impl Rows + ?Sized),
    profile: &Profile,
    act: RequestAct,
    items: &[ItemId],
) -> Result<(), Stop> {
    for item in items {
        let class = class_of(rows, *item)?;
        let (rule, article) = match stated(profile, class) {
            Some(stated) if stated.refuses.contains(&act) => {
                (stated.source.rule.as_str(), stated.source.article.as_str())
            }
            None if class != Class::Open && act == RequestAct::Publish => ("G11", ""),
            Some(_) | None => continue,
        };
        let words = if article.is_empty() { String::new() } else { format!("; {article}") };
        return Err(Refusal::new(
            Reason::Restricted,
            rule,
            format!(
                "item {item} is classed {}: profile {} forbids to {} it{words}",
                class.name(),
                profile.name,
                act.name()
            ),
            "the legal office can correct a wrong class: `strongroom item classify`",
        )
        .into());
    }
    Ok(())
}

fn class_of(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<Class, RowError> {
    Ok(keeping::read(rows, item)?.class.map_or(Class::Open, |set| set.class))
}

/// What a profile says of a class. Profiles write its code with an underscore.
fn stated(profile: &Profile, class: Class) -> Option<&Confidentiality> {
    let code = class.name().replace('-', "_");
    profile.confidentiality.iter().find(|stated| stated.code == code)
}
