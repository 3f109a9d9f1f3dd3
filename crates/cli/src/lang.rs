//! The two languages that people are spoken to in. Help, JSON and what the cluster answers stay as they are.

use clap::ValueEnum;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// 中文.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language of the environment (`LC_ALL`, then `LC_MESSAGES`, then `LANG`); English unless it is Chinese.
    pub(crate) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|text| !text.is_empty());
        if set.is_some_and(|text| text.to_ascii_lowercase().starts_with("zh")) { Self::Zh } else { Self::En }
    }

    /// The text of this language.
    pub(crate) const fn pick<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }

    /// A word of the glossary, as tables and lists head it. What is not in the table is shown as it is.
    pub(crate) fn word(self, english: &'static str) -> &'static str {
        match self {
            Self::En => english,
            Self::Zh => WORDS.iter().find(|(en, _)| *en == english).map_or(english, |(_, zh)| zh),
        }
    }
}

/// Heads of tables and lists.
const WORDS: &[(&str, &str)] = &[
    ("act", "行为"),
    ("activity", "执法活动"),
    ("actor", "行为人"),
    ("address", "地址"),
    ("agency", "执法机关"),
    ("applied", "已应用"),
    ("approved by", "已批准"),
    ("bad shard", "坏分片"),
    ("bad shards", "坏分片"),
    ("blake3", "BLAKE3"),
    ("brand and model", "品牌型号"),
    ("checkpoint", "日志校验点"),
    ("client port", "客户端口"),
    ("clock behind wall", "时钟落后"),
    ("cluster", "集群"),
    ("compliance clock", "合规时钟"),
    ("cosigned by", "联署人"),
    ("data", "数据目录"),
    ("device", "设备"),
    ("disk", "磁盘"),
    ("disks", "磁盘"),
    ("district", "机房区域"),
    ("executor", "执行角色"),
    ("facts", "事项"),
    ("file", "文件"),
    ("findings", "异常"),
    ("fingerprint", "指纹"),
    ("first seen", "首次发现"),
    ("floor", "最低保存期限"),
    ("full name", "全称"),
    ("given an end", "获得期限"),
    ("good from", "有效期起"),
    ("good until", "有效期至"),
    ("issuer", "签发者"),
    ("item", "音像资料"),
    ("items", "音像资料"),
    ("kept until", "保存至"),
    ("kept without an end", "改为无期限"),
    ("key", "密钥"),
    ("kind", "类型"),
    ("labels", "标注"),
    ("leader", "主节点"),
    ("ledger", "存证日志"),
    ("left", "不变"),
    ("lengthened", "延长"),
    ("missing", "尚缺"),
    ("name", "名称"),
    ("node", "节点"),
    ("nodes", "节点"),
    ("pid", "进程号"),
    ("policy", "信任策略"),
    ("process", "进程"),
    ("profile", "管理制度配置"),
    ("quarantined", "隔离"),
    ("raft role", "Raft 角色"),
    ("reason", "事由"),
    ("receipt", "入库回执"),
    ("record", "存证条目"),
    ("recorded", "录制时间"),
    ("rejection", "驳回理由"),
    ("repair queue", "待修复分片"),
    ("request", "调取使用申请"),
    ("requester", "申请人"),
    ("result", "结果"),
    ("roles", "角色"),
    ("root", "根哈希"),
    ("rule", "条款"),
    ("scheme", "编码"),
    ("sealed at", "入库时间"),
    ("seq", "序号"),
    ("sha256", "SHA-256"),
    ("shards", "分片"),
    ("size", "大小"),
    ("slots", "槽位"),
    ("state", "状态"),
    ("subject", "持有者"),
    ("submitted", "提交时间"),
    ("term", "任期"),
    ("trial", "试验集群"),
    ("unit", "单位"),
    ("uses", "已用次数"),
    ("valid until", "有效期至"),
    ("version", "版本"),
    ("volume", "卷"),
    ("voter", "投票节点"),
    ("waiting", "待生效版本"),
    ("wall clock", "墙上时钟"),
    ("when", "时间"),
    ("why", "依据"),
    ("would be refused", "将被拒绝"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        for (variables, expected) in [
            (vec![], Lang::En),
            (vec![("LANG", "zh_CN.UTF-8")], Lang::Zh),
            (vec![("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")], Lang::En),
            (vec![("LC_ALL", ""), ("LANG", "zh_CN.UTF-8")], Lang::Zh),
            (vec![("LC_MESSAGES", "zh"), ("LANG", "en_US")], Lang::Zh),
        ] {
            let look =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Lang::of_environment(look), expected, "{variables:?}");
        }
    }

    #[test]
    fn the_table_of_words_is_sorted_and_names_each_once() {
        assert!(WORDS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!((Lang::Zh.word("receipt"), Lang::En.word("receipt")), ("入库回执", "receipt"));
    }
}
