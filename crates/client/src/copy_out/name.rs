//! File names that people can read and every file system takes: device, local start, original name.
//!
//! Names come from devices and people, so nothing in them is trusted: separators, control and direction-changing
//! characters are escaped, and no two items of a copy-out share a name, not even where case does not count.

use std::collections::HashSet;

use bytes::Bytes;
use jiff::Timestamp;
use strongroom_proto::access::GrantedItem;
use strongroom_types::CHINA;

/// Longest name in characters.
const NAME_CHARS_MAX: usize = 60;
const DEVICE_CHARS_MAX: usize = 20;
/// A dot and up to eight letters or digits count as an extension.
const EXTENSION_CHARS_MAX: usize = 9;

/// One name for each item, the same each time for the same grant.
pub(super) fn plan(items: &[GrantedItem]) -> Vec<String> {
    let mut taken = HashSet::new();
    items
        .iter()
        .map(|item| {
            let plain = readable(item, "");
            let name = if is_free(&taken, &plain) { plain } else { readable(item, &mark(&item.item_id)) };
            taken.extend(footprint(&name));
            name
        })
        .collect()
}

/// What a name takes up, with the files beside it.
fn footprint(name: &str) -> [String; 3] {
    let name = name.to_lowercase();
    [format!("{name}.receipt"), format!("{name}.part"), name]
}

fn is_free(taken: &HashSet<String>, name: &str) -> bool {
    footprint(name).iter().all(|name| !taken.contains(name))
}

/// Tells two items of one name apart: the item's whole id, since a few digits could be the same.
fn mark(item: &Bytes) -> String {
    format!("~{}", hex::encode(item))
}

fn readable(item: &GrantedItem, mark: &str) -> String {
    let (stem, extension) = split(&item.file_name);
    let device = cut(&escape(&item.device_id), DEVICE_CHARS_MAX);
    let head = format!("{device}_{}_", local_start(item.recorded_start_unix_ms));
    let room = NAME_CHARS_MAX.saturating_sub(head.chars().count() + extension.chars().count());
    let name = format!("{head}{}{mark}{extension}", cut(&escape(stem), room));
    match name.chars().next() {
        // A leading dot hides the file, a leading dash is an option to the next program.
        Some(first @ ('.' | '-')) => percent(first) + &name[1..],
        Some(_) | None => name,
    }
}

fn local_start(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(instant) => CHINA.to_datetime(instant).strftime("%Y%m%dT%H%M%S").to_string(),
        Err(_) => "undated".to_owned(),
    }
}

/// Stem and extension; anything odd behind the last dot belongs to the stem.
fn split(file_name: &str) -> (&str, &str) {
    match file_name.rfind('.') {
        Some(dot)
            if dot > 0
                && file_name.len() - dot > 1
                && file_name.len() - dot <= EXTENSION_CHARS_MAX
                && file_name[dot + 1..].bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            file_name.split_at(dot)
        }
        Some(_) | None => (file_name, ""),
    }
}

/// Each character as it may stand in a name.
fn escape(text: &str) -> Vec<String> {
    let text = text.trim();
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { percent(c) }).collect()
}

fn is_plain(c: char) -> bool {
    let separates = matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' | '~');
    let hides = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !separates && !hides && !c.is_control()
}

fn percent(c: char) -> String {
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// As many whole characters (escaped ones are whole too) as there is room for.
fn cut(escaped: &[String], room: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    for unit in escaped {
        used += unit.chars().count();
        if used > room {
            break;
        }
        text.push_str(unit);
    }
    text.trim_end_matches([' ', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(id: u8, device: &str, file_name: &str) -> GrantedItem {
        GrantedItem {
            item_id: Bytes::from(vec![id; 16]),
            device_id: device.to_owned(),
            file_name: file_name.to_owned(),
            recorded_start_unix_ms: 1_772_328_600_000,
            ..GrantedItem::default()
        }
    }

    #[test]
    fn a_name_reads_device_local_start_and_original_name() {
        let name = |device, file| plan(&[granted(1, device, file)]).remove(0);
        assert_eq!(name("DSJ-00017", "执法 现场.MP4"), "DSJ-00017_20260301T093000_执法 现场.MP4");
        assert_eq!(name("D1", ".."), "D1_20260301T093000_");
        assert_eq!(name("D1", "../../etc/passwd"), "D1_20260301T093000_..%2F..%2Fetc%2Fpasswd");
        assert_eq!(name("-rf", "a\nb\u{202e}4pm.mp4"), "%2Drf_20260301T093000_a%0Ab%E2%80%AE4pm.mp4");
        assert_eq!(name("..", ".bashrc"), "_20260301T093000_.bashrc");
        assert_eq!(name("C:\\x", "a~b%c?.mp4"), "C%3A%5Cx_20260301T093000_a%7Eb%25c%3F.mp4");
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_is_cut_between_characters() {
        let name = plan(&[granted(1, &"设备".repeat(40), &("现".repeat(100) + ".mp4"))]).remove(0);
        assert_eq!(name.chars().count(), NAME_CHARS_MAX);
        assert!(name.ends_with("现.mp4"), "{name}");
        let escaped = plan(&[granted(1, "D", &"/".repeat(100))]).remove(0);
        assert!(escaped.chars().count() <= NAME_CHARS_MAX && escaped.ends_with("%2F"), "{escaped}");
    }

    #[test]
    fn no_two_files_of_a_copy_out_share_a_name() {
        let items = [
            granted(1, "D", "a.mp4"),
            granted(2, "D", "A.MP4"),
            granted(3, "D", "a.mp4"),
            granted(4, "D", "a.mp4.receipt"),
            granted(5, "D", "a.mp4.part"),
        ];
        let names = plan(&items);
        let mut all: Vec<String> = names.iter().flat_map(|name| footprint(name)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 15, "{names:?}");
        assert_eq!(names[0], "D_20260301T093000_a.mp4", "the first keeps the plain name");
        assert_eq!(plan(&items), names, "and a second run plans the same");
    }
}
