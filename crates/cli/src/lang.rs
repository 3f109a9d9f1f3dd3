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
    ("about", "涉及"),
    ("accessories", "配件"),
    ("act", "行为"),
    ("activity", "执法活动"),
    ("actor", "行为人"),
    ("address", "地址"),
    ("agency", "执法机关"),
    ("already held", "原已暂缓"),
    ("answered by", "接收方"),
    ("applied", "已应用"),
    ("approved by", "已批准"),
    ("archived", "归档"),
    ("asset number", "资产编号"),
    ("authority", "提出机关"),
    ("bad shard", "坏分片"),
    ("bad shards", "坏分片"),
    ("blake3", "BLAKE3"),
    ("bound by", "关联人"),
    ("brand and model", "品牌型号"),
    ("case", "案件"),
    ("cause", "原因"),
    ("checkpoint", "日志校验点"),
    ("class", "密级"),
    ("cleared", "清退"),
    ("client port", "客户端口"),
    ("clock behind wall", "时钟落后"),
    ("clock offset", "时钟偏差"),
    ("cluster", "集群"),
    ("collected", "收回时间"),
    ("committed", "已承诺"),
    ("complaint", "投诉编号"),
    ("compliance clock", "合规时钟"),
    ("consented by", "同意人"),
    ("corrected by", "更正量"),
    ("corrected end", "推算结束时间"),
    ("corrected start", "推算开始时间"),
    ("correction", "更正"),
    ("cosigned by", "联署人"),
    ("counted length", "计入时长"),
    ("covers", "范围"),
    ("current", "现任"),
    ("custodian", "管理员"),
    ("custodian of a device", "设备专管人"),
    ("data", "数据目录"),
    ("deputy", "代理管理员"),
    ("device", "设备"),
    ("devices", "设备"),
    ("disk", "磁盘"),
    ("disks", "磁盘"),
    ("display name", "显示名称"),
    ("disposal to sign", "待签监销"),
    ("district", "机房区域"),
    ("document", "来函文号"),
    ("draw", "抽样"),
    ("due", "期限"),
    ("entry", "条目"),
    ("executor", "执行角色"),
    ("explained by", "说明"),
    ("explained by outages", "中断可解释"),
    ("facts", "事项"),
    ("fault", "故障"),
    ("file", "文件"),
    ("findings", "异常"),
    ("fingerprint", "指纹"),
    ("first seen", "首次发现"),
    ("floor", "最低保存期限"),
    ("folders", "文件夹"),
    ("former names", "曾用名"),
    ("from", "起"),
    ("full name", "全称"),
    ("given an end", "获得期限"),
    ("given by", "授予人"),
    ("giver", "移交人"),
    ("giving unit", "移交单位"),
    ("good from", "有效期起"),
    ("good until", "有效期至"),
    ("has the powers of", "承接单位"),
    ("hold", "暂缓销毁"),
    ("holder", "使用人"),
    ("holds", "暂缓销毁"),
    ("in force from", "生效时间"),
    ("ingest", "入库"),
    ("inspector", "检查人"),
    ("issuer", "签发者"),
    ("item", "音像资料"),
    ("items", "音像资料"),
    ("kept by", "留存人"),
    ("kept until", "保存至"),
    ("kept without an end", "改为无期限"),
    ("key", "密钥"),
    ("kind", "类型"),
    ("labels", "标注"),
    ("labels due", "标注期限"),
    ("labels missing", "标注缺项"),
    ("leader", "主节点"),
    ("leaves on", "离岗日期"),
    ("ledger", "存证日志"),
    ("left", "不变"),
    ("legal basis", "依据"),
    ("lengthened", "延长"),
    ("letter", "文号"),
    ("matched", "符合条件"),
    ("matter", "执法事项"),
    ("missing", "尚缺"),
    ("missing angles", "缺少角度"),
    ("missing for release", "解除尚缺"),
    ("mistake", "错误事项"),
    ("name", "名称"),
    ("newly held", "新暂缓"),
    ("next", "下一步"),
    ("node", "节点"),
    ("nodes", "节点"),
    ("not ingested", "未入库"),
    ("notice", "提示"),
    ("number", "编号"),
    ("office", "职务"),
    ("officers", "执法人员"),
    ("on its way", "交接中"),
    ("open cases", "未归档案件"),
    ("open notices", "待阅提示"),
    ("opened by", "立案人"),
    ("opinion", "意见"),
    ("outage", "时钟中断"),
    ("outcome", "案件结果"),
    ("owing", "待入库人"),
    ("party", "行政执法相对人"),
    ("pending requests", "待批申请"),
    ("people", "人员"),
    ("person", "人员"),
    ("phase", "执法环节"),
    ("pid", "进程号"),
    ("place", "地点"),
    ("placed at", "作出时间"),
    ("placed by", "作出人"),
    ("policy", "信任策略"),
    ("posts go to", "接任人"),
    ("preserved", "记录保存情况"),
    ("process", "进程"),
    ("profile", "管理制度配置"),
    ("proposal", "提议条目"),
    ("proposed by", "提出人"),
    ("quarantined", "隔离"),
    ("raft role", "Raft 角色"),
    ("rank", "次序"),
    ("ratio", "比例"),
    ("reason", "事由"),
    ("receipt", "入库回执"),
    ("receiving unit", "接收单位"),
    ("record", "存证条目"),
    ("recorded", "录制时间"),
    ("recorded length", "记录时长"),
    ("recorded outages", "已记录的中断"),
    ("rejection", "驳回理由"),
    ("release reason", "解除理由"),
    ("released by", "解除人"),
    ("repair queue", "待修复分片"),
    ("repeats", "重复抽样"),
    ("reported to", "报告对象"),
    ("request", "调取使用申请"),
    ("request to decide", "待批申请"),
    ("requester", "申请人"),
    ("restriction", "限制处理"),
    ("result", "结果"),
    ("revealed", "已公开"),
    ("roles", "角色"),
    ("root", "根哈希"),
    ("rule", "条款"),
    ("sample", "抽样数"),
    ("scheme", "编码"),
    ("sealed at", "入库时间"),
    ("seed", "抽样种子"),
    ("seen by", "阅知人"),
    ("seq", "序号"),
    ("set ahead", "已拨快"),
    ("sha256", "SHA-256"),
    ("shards", "分片"),
    ("since", "自"),
    ("size", "大小"),
    ("slots", "槽位"),
    ("started", "开始时间"),
    ("state", "状态"),
    ("subject", "持有者"),
    ("submitted", "提交时间"),
    ("successor", "承继单位"),
    ("successor of", "待接任其职"),
    ("task", "待办"),
    ("term", "任期"),
    ("text", "说明文字"),
    ("title", "案由"),
    ("to", "止"),
    ("to settle first", "须先了结"),
    ("trial", "试验集群"),
    ("unexplained", "无法解释的差异"),
    ("unit", "单位"),
    ("unit that ends", "终止单位"),
    ("uses", "已用次数"),
    ("valid until", "有效期至"),
    ("version", "版本"),
    ("viewer", "查阅人"),
    ("volume", "卷"),
    ("voter", "投票节点"),
    ("waiting", "待生效版本"),
    ("waiting correction", "待生效更正"),
    ("waits until", "等待至"),
    ("wall clock", "墙上时钟"),
    ("what", "内容"),
    ("when", "时间"),
    ("why", "依据"),
    ("withdrawn by", "撤回人"),
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
