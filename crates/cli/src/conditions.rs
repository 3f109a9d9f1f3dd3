//! Conditions on items as several commands take them: what fits all of them is meant.

use std::collections::BTreeMap;

use clap::Args;
use strongroom_types::{ActivityId, DeviceId, UnitId};

use crate::parse;

/// Conditions of a command line; none of them means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Conditions {
    /// Recorded by this unit
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// Recorded with this device
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceId>,
    /// Recorded in this activity
    #[arg(long, value_name = "ACTIVITY")]
    activity: Option<ActivityId>,
    /// Ever labelled so; say it again for each
    #[arg(long = "label", value_parser = parse::pair, value_name = "NAME=VALUE")]
    labels: Vec<(String, String)>,
}

/// Conditions as messages carry them: empty where nothing is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WireConditions {
    pub(crate) unit_id: String,
    pub(crate) device_id: String,
    pub(crate) activity_id: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Conditions {
    #[cfg(test)]
    pub(crate) fn of_unit(unit: &str) -> Self {
        Self { unit: Some(unit.parse().expect("a unit")), ..Self::default() }
    }

    /// For a message.
    pub(crate) fn wire(self) -> WireConditions {
        fn text(name: Option<impl ToString>) -> String {
            name.map(|name| name.to_string()).unwrap_or_default()
        }
        WireConditions {
            unit_id: text(self.unit),
            device_id: text(self.device),
            activity_id: text(self.activity),
            labels: self.labels.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Asked {
        #[command(flatten)]
        conditions: Conditions,
    }

    #[test]
    fn what_is_not_said_is_no_condition_and_the_last_value_of_a_label_counts() {
        let wire = |words: &[&str]| Asked::try_parse_from(words).expect("parses").conditions.wire();
        assert_eq!(wire(&["x"]), WireConditions::default());
        let asked = wire(&["x", "--unit", "U1", "--label", "place=gate", "--label", "place=yard"]);
        assert_eq!((asked.unit_id.as_str(), asked.device_id.as_str()), ("U1", ""));
        assert_eq!(asked.labels, BTreeMap::from([("place".to_owned(), "yard".to_owned())]));
        assert!(Asked::try_parse_from(["x", "--label", "place"]).is_err());
    }
}
