#!/usr/bin/env bash
# 内丘县卫生健康局行政执法记录音像设备使用管理规定: a case of the Neiqiu health bureau. The text names no period at all.
#
#   tests/regulations/neiqiu.sh path/to/strongroom [folder]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

begin neiqiu-weijian
step "one bureau under the Neiqiu rules, on three nodes in three districts"

# 第九、十二、十四条
run custodian device issue D1 --to recorder
refused legal NOT_YOUR_STEP R-004-14 device accept D1
run recorder device accept D1
run custodian device not-collected
says '"device": "D1"'
step "the officer wears the camera after both have signed; it counts as not collected while he does (R-004-12, R-004-16)"

# 第五、十、十六条
opening=(activity open A-1 --unit U1 --place '中兴大街口腔诊所' --party '某某口腔诊所' --matter '医疗机构监督检查'
    --officer '赵某:冀ZF001' --officer '钱某:冀ZF002' --started "$(ago 65)")
refused recorder INVALID_ARGUMENT R-004-5 "${opening[@]}" --kind patrol_inspection
run recorder "${opening[@]}" --kind site_inspection
run station device dock-check D1 --offset-ms 0 --un-ingested 2
record first.mp4 65 45 --activity A-1
first=$item
record second.mp4 25 5 --activity A-1
second=$item
run station device dock-check D1 --offset-ms 0 --un-ingested 0
run recorder activity end A-1 --at "$(ago 5)"
run recorder activity show A-1
shows ingest open
run recorder activity end A-1 --what matter_ended --at "$(ago 5)"
run recorder activity show A-1
shows ingest on_time
shows preservation gaps_open
step "one of five kinds; 24 hours run from the end of the matter, and both recordings are in (R-004-5, R-004-10, R-004-16)"

# 第六条
interruption=(activity interruption A-1 --from "$(ago 45)" --to "$(ago 25)")
refused recorder INVALID_ARGUMENT R-004-6 "${interruption[@]}" --cause bad_weather --voice-note "$second@5"
refused recorder STATEMENT_MISSING R-004-6 "${interruption[@]}" --cause technical --voice-note "$second@5"
record statement.pdf 4 4
statement=$item
run recorder "${interruption[@]}" --cause technical --statement "$statement" --reported-to '监督所所长'
run recorder activity show A-1
shows preservation complete
step "only a technical cause may interrupt, and it is explained in writing (R-004-6 第六条)"

# 第十四条: 年、月、日, 逐日逐案
for item in "$first" "$second"; do
    run recorder item label "$item" device_no=D1
    run recorder item label "$item" user_identity='赵某 冀ZF001'
done
# Around midnight the two are of two days.
day_of() {
    local day
    day=$(ago "$1" | cut -c1-10)
    printf '现场执法记录设备影像资料/%s' "${day//-//}"
}
run recorder item show "$first"
shows labels_missing '[]'
says "\"$(day_of 65)/未立案\""
run legal case open '内卫罚〔2026〕3号' --unit U1 --title '超范围执业'
run legal case bind '内卫罚〔2026〕3号' --item "$first"
run recorder item show "$first"
says "\"$(day_of 65)/内卫罚〔2026〕3号\""
run recorder item show "$second"
says "\"$(day_of 25)/未立案\""
step "each stands under year, month, day and case, and knows its device and who wore it (R-004-14 第十四条)"

# 第七条
refused legal INVALID_ARGUMENT R-004-7 item trigger "$second" hostile_or_prior_conflict --basis '当事人投诉'
run legal item trigger "$second" objection_complaint_petition --basis '当事人投诉，信访件9号'
run legal item explain "$second"
says '"rule": "R-004-7"'
step "a complaint: 归档长期保存, kept without an end (R-004-7, G7 第七条)"

# 第十八、二十、二十二条
watch recorder "$folder/first.mp4" "$first" --reason '整理'
refused head APPROVAL_MISSING C5 view "$first" --reason '看看'
refused legal FIELD_MISSING C5 view "$first" --reason ' '
watch legal "$folder/first.mp4" "$first" --reason '定期调阅回放'
watch unit-head "$folder/first.mp4" "$first" --reason '日常检查'
step "the legal office and the head of the unit look without a request, on the record (第二十条, R-004-22 第二十二条)"
judicial=(request submit --act view --item "$first" --reason '办理案件' --field purpose=judicial
    --field letter_no='检函2号' --field recipient_kind=procuratorate)
refused legal ACT_UNSPECIFIED R-004-15 request submit --act view --item "$first" --reason '会商' --field purpose=other
refused recorder ROLE_NOT_ALLOWED R-004-18 "${judicial[@]}"
run legal "${judicial[@]}"
request=$(value request)
refused custodian APPROVAL_MISSING R-004-18 view "$request" "$first"
refused approver ROLE_NOT_ALLOWED R-004-18 request approve "$request"
run head request approve "$request"
refused custodian FIELD_MISSING R-004-18 view "$request" "$first"
run legal "${judicial[@]}" --field viewer='检察官孙某'
request=$(value request)
run head request approve "$request"
refused archivist ROLE_NOT_ALLOWED R-004-18 view "$request" "$first"
watch custodian "$folder/first.mp4" "$request" "$first"
step "the procuratorate views with the head's approval, registered by the keeper (R-004-18 第十八条)"

# 第十五、十七、十九条
run legal item classify "$first" trade-secret --basis '诊所经营资料'
refused legal RESTRICTED R-004-19 request submit --act publish --item "$first" --reason '宣传' --field recipient_kind=society
run legal item classify "$first" open --basis '已脱密'
for act in transfer provide; do
    refused legal ACT_UNSPECIFIED R-004-15 request submit --act "$act" --item "$first" --reason '来函'
done
step "what is secret is not published, and nothing is given to outsiders by a procedure that nobody wrote (R-004-15, R-004-17, R-004-19)"

# The agency supplies who approves a copy for the file.
copying=(request submit --act copy --item "$first" --reason '附卷')
refused legal ACT_UNSPECIFIED R-004-15 "${copying[@]}"
copy_rule='[acts.copy]\
requesters = ["legal", "unit-head"]\
approvers = "head"\
executors = ["custodian"]\
register = "production_note"\
valid-days = 30\
uses = 1\
note = "局规定：局主要负责人批准。"\
rule = "R-004-15"\
\
[forms.production_note]\
title = "视听资料制作说明"\
fields = [\
    { name = "produced_by", words = "制作人" },\
    { name = "extracted_by", words = "提取人" },\
    { name = "extracted_at", words = "提取时间" },\
]\
rule = "R-004-15"\
'
sed "/^\[acts\.copy\]\$/,/^\$/c\\
$copy_rule" "$profiles/$profile.toml" >"$folder/second-version.toml"
new_version "$folder/second-version.toml"
run legal "${copying[@]}" --field produced_by='李某'
request=$(value request)
run head request approve "$request"
refused custodian FIELD_MISSING R-004-15 copy-out "$request" --to "$folder/no-note"
says 'extracted_by'
run legal "${copying[@]}" --field produced_by='李某' --field extracted_by='周某'
request=$(value request)
run head request approve "$request"
hand_out custodian "$request" copy "$folder/first.mp4"
step "the agency names who approves a copy by a new version, two people and a day; the copy has its production note (R-004-15)"

# 没有写保存期限
not_disposable FLOOR_UNSPECIFIED R-004-RET "$statement"
not_disposable RETENTION_ACTIVE G6 "$first"
run unit-head case close '内卫罚〔2026〕3号' --outcome '结案' --reason '已执行'
refused legal TERM_MISSING G6 case archive '内卫罚〔2026〕3号' --date "$(ago 1)"
run archivist case archive '内卫罚〔2026〕3号' --date "$(ago 1)" --term-months 60
pass 4000
not_disposable FLOOR_UNSPECIFIED R-004-RET "$first"
not_disposable FLOOR_UNSPECIFIED R-004-RET "$statement"
step "eleven years later nothing may go yet: the text names no period, and none is guessed (R-004-RET)"

sed '/^\[floor\]$/,/^$/c\
[floor]\
months = 36\
note = "上级规定：省卫生健康委员会行政执法全过程记录实施办法。"\
rule = "R-004-RET"\
article = "省卫生健康委员会行政执法全过程记录实施办法"\
' "$folder/second-version.toml" >"$folder/third-version.toml"
run security profile preview "$folder/third-version.toml"
shows ending 3
new_version "$folder/third-version.toml"
run archivist disposal propose --dry-run --basis x --item "$statement"
shows eligible true
not_disposable RETENTION_ACTIVE R-004-7 "$second"
run legal hold place '内卫复议1号' --authority '县司法局' --document '复议函1号' --reason '行政复议' --case '内卫罚〔2026〕3号'
not_disposable HOLD_ACTIVE G3 "$first"
run legal hold release '内卫复议1号' --reason '复议终结'
run head hold release '内卫复议1号' --reason '复议终结'
step "a floor from a named higher source is set by a new version; what was recorded long ago gets its end by it (R-004-RET, G2)"

dispose "$first"
run legal item show "$second"
shows kept_until null
step "the evidence is gone, and the recording of the complaint is still kept (R-004-7 第七条)"

run recorder device return D1 --un-ingested 0
run custodian device accept D1
run custodian device not-collected
says_not '"device": "D1"'
step "the camera is collected (R-004-16 第十六条)"
