#!/usr/bin/env bash
# 市人防办行政执法音像记录设备配备使用办法: a case of a civil air defence office in Liaoning. Its text names no approver.
#
#   tests/regulations/renfang.sh path/to/strongroom [folder]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

begin renfang
step "one office under the civil air defence rules, on three nodes in three districts"

# 第九、十一条
run custodian device issue D1 --to recorder --content '人防工程检查'
refused legal NOT_YOUR_STEP R-001-9 device accept D1
run recorder device accept D1
run station device dock-check D1 --offset-ms 0 --un-ingested 2
run custodian device ledger D1
says '"what": "accepted"'
step "the ledger names user, handover and content; both sides signed (R-001-9, R-001-11)"

# 第十四条（一）
run recorder activity open A-1 --unit U1 --kind '人防工程检查' --place '长江街地下车库' --party '某某物业公司' \
    --officer '郑某:辽ZF001' --officer '吴某:辽ZF002' --started "$(ago 65)"
record first.mp4 65 45 --activity A-1
first=$item
record second.mp4 40 25 --activity A-1
second=$item
run station device dock-check D1 --offset-ms 0 --un-ingested 0
run recorder activity end A-1 --at "$(ago 5)"
run recorder activity show A-1
shows ingest on_time
shows preservation gaps_open
step "within 24 hours both recordings are on the servers, and not only on the station (R-001-14a 第十四条（一）)"

# 第五、十五条: 未登记设备
file=$folder/stranger.mp4
head -c 1000 /dev/urandom >"$file"
run station ingest "$file" --device D9 --unit U1 --recorded-start "$(ago 60)" --recorded-end "$(ago 50)"
stranger=$(value item)
run legal item show "$stranger"
shows quarantined true
refused legal QUARANTINED C1 item label "$stranger" content='x'
refused legal QUARANTINED C1 request submit --act copy --item "$stranger" --reason x
run custodian item release-quarantine "$stranger" --reason '借用设备，已补登'
refused legal QUARANTINED C1 item label "$stranger" content='x'
refused custodian SAME_PERSON G8 item release-quarantine "$stranger" --reason '借用设备，已补登'
run unit-head item release-quarantine "$stranger" --reason '同意'
run legal item label "$stranger" content='人防工程检查'
run security pki issue-client outsider --authorities "$cluster/pki" --to "$cluster/identities"
printf '\n[identities.outsider]\ncertificate = "identities/outsider.pem"\nkey = "identities/outsider.key"\n' >>"$STRONGROOM_CONTEXT"
refused outsider UNKNOWN_PRINCIPAL C5 item show "$first"
step "footage of an unlisted device is taken and kept apart until two offices release it; an unknown machine sees nothing (R-001-5, R-001-15)"

# 第十条
interruption=(activity interruption A-1 --cause technical)
refused recorder INVALID_ARGUMENT R-001-10 activity interruption A-1 --cause battery_low --from "$(ago 45)" --to "$(ago 40)" \
    --voice-note "$second@1"
run recorder "${interruption[@]}" --from "$(ago 45)" --to "$(ago 40)" --voice-note "$second@1"
unresumed=("${interruption[@]}" --from "$(ago 25)" --to "$(ago 5)")
refused recorder STATEMENT_MISSING R-001-10 "${unresumed[@]}"
record report.pdf 4 4
report=$item
refused recorder STATEMENT_MISSING R-001-10 "${unresumed[@]}" --statement "$report"
refused recorder INVALID_ARGUMENT R-001-10 "${unresumed[@]}" --statement "$report" --kept-by recorder
run recorder "${unresumed[@]}" --statement "$report" --kept-by custodian
run recorder activity show A-1
shows preservation complete
step "what resumed is spoken of; what did not has a written report that the custodian keeps (R-001-10 第十条)"

# 第十六条
run recorder device report-fault D1 --fault '无法开机' --reported-to '单位负责人'
refused recorder ROLE_NOT_ALLOWED C5 device confirm-fault D1
run unit-head device confirm-fault D1
run recorder device return D1 --un-ingested 0
run custodian device accept D1
run custodian device repair D1 --repairer '厂家' --un-ingested 0
run custodian device restore D1 --note '更换电池'
step "the fault is reported, confirmed and mended, and nothing was left on the device (R-001-16 第十六条)"

# 投诉; 行政处罚案件
run legal hold place '物业投诉' --authority '市信访局' --document '信访件5号' --reason '投诉处理' --activity A-1
run legal case open '人防罚〔2026〕2号' --unit U1 --title '擅自改造人防工程'
run legal case bind '人防罚〔2026〕2号' --item "$first"
run legal item explain "$first"
says '"rule": "R-001-14c"'
step "a complaint is answered by a hold; the first recording is evidence of a penalty case (G3, R-001-14c)"

# 第十五条: 按相关程序审批
for act in view copy transfer provide publish; do
    refused legal ACT_UNSPECIFIED R-001-15 request submit --act "$act" --item "$first" --reason '执法办案需要'
done
for who in recorder unit-head legal head; do
    refused "$who" APPROVAL_MISSING R-001-15 view "$first" --reason '执法办案需要'
done
step "the text says 按相关程序审批 and names nobody: all five acts are refused, and so is a look without a request (R-001-15 第十五条)"
sed -E '/^\[acts\.(view|copy)\]$/,/^$/c\
@' "$profiles/$profile.toml" | sed '/^@$/d' >"$folder/second-version.toml"
for act in view copy; do
    cat >>"$folder/second-version.toml" <<RULE

[acts.$act]
requesters = ["recorder", "legal"]
approvers = "unit-head"
executors = ["custodian"]
valid-days = 30
uses = 1
interpreted = true
note = "办规定：单位负责人批准。"
rule = "R-001-15"
article = "第十五条 ……因执法办案需要，调取或查看资料必须按相关程序审批。"
RULE
done
new_version "$folder/second-version.toml"
run recorder request submit --act view --item "$first" --reason '执法办案需要'
request=$(value request)
refused custodian APPROVAL_MISSING R-001-15 view "$request" "$first"
refused head ROLE_NOT_ALLOWED R-001-15 request approve "$request"
run unit-head request approve "$request"
refused archivist ROLE_NOT_ALLOWED R-001-15 view "$request" "$first"
watch custodian "$folder/first.mp4" "$request" "$first"
refused custodian GRANT_ENDED R-001-15 view "$request" "$first"
run legal request submit --act copy --item "$first" --reason '附卷'
request=$(value request)
run unit-head request approve "$request"
hand_out custodian "$request" copy "$folder/first.mp4"
refused legal ACT_UNSPECIFIED R-001-15 request submit --act provide --item "$first" --reason '当事人要求'
step "the office names the head of the unit by a new version, two people and a day; then footage is seen and copied, and still given to nobody (R-001-15)"

# 第十四条（二）（三）
not_disposable HOLD_ACTIVE G3 "$first"
refused recorder ROLE_NOT_ALLOWED C5 hold release '物业投诉' --reason '办结'
for who in legal head; do run "$who" hold release '物业投诉' --reason '办结'; done
not_disposable RETENTION_ACTIVE R-001-14c "$first"
says 'is not archived'
not_disposable RETENTION_ACTIVE R-001-14b "$second"
run legal case close '人防罚〔2026〕2号' --outcome '结案' --reason '已缴纳罚款'
refused legal TERM_MISSING G6 case archive '人防罚〔2026〕2号' --date "$(ago 1)"
run archivist case archive '人防罚〔2026〕2号' --date "$(ago 1)" --term-months 36
pass 700
not_disposable RETENTION_ACTIVE R-001-14b "$second"
pass 60
not_disposable RETENTION_ACTIVE R-001-14c "$first"
step "two years are the floor, and evidence of a penalty case is kept as long as its file (R-001-14b, R-001-14c)"
dispose "$second"
pass 400
dispose "$first"
run legal item show "$report"
step "what was no evidence went first, the evidence with its file; the report is still there: expiry alone deletes nothing (G2)"
