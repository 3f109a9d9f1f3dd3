#!/usr/bin/env bash
# 启东市城市综合管理局执法音像记录设备配备和使用管理办法: a case of the Qidong city management bureau.
#
#   tests/regulations/qidong.sh path/to/strongroom [folder]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

begin qidong-chengguan
hire keeper custodian U1
step "one bureau under the Qidong rules, on three nodes in three districts"

# 第三条
run custodian device issue D1 --to recorder --accessories '充电座、背夹'
refused legal NOT_YOUR_STEP R-000-3 device accept D1
run recorder device accept D1
run custodian device show D1
shows holder recorder
refused custodian DEVICES_OUTSTANDING R-000-3 device clearance recorder
step "the officer holds the camera after both have signed, and is not cleared to leave while he does (R-000-3 第三条)"

# 第七、九、十、十四条
opening=(activity open A-1 --unit U1 --place '人民中路城管驿站' --party '张某' --matter '占道经营'
    --officer '王某:苏ZF001' --officer '李某:苏ZF002' --started "$(ago 65)"
    --document '现场检查笔录' --document-start "$(ago 65)" --document-end "$(ago 5)")
refused recorder INVALID_ARGUMENT R-000-14 "${opening[@]}" --kind '现场检查'
run recorder "${opening[@]}" --kind site_inspection
run station device dock-check D1 --offset-ms 0 --un-ingested 2 --battery 12
record first.mp4 65 45 --activity A-1
first=$item
record second.mp4 25 5 --activity A-1
second=$item
run station device dock-check D1 --offset-ms 0 --un-ingested 0
run recorder activity end A-1 --at "$(ago 5)"
run recorder activity show A-1
shows ingest on_time
shows preservation gaps_open
step "an inspection of the twelve kinds is recorded and stored the same day, with a gap of 20 minutes (R-000-7, R-000-14, R-000-19)"

# 第十三条
interruption=(activity interruption A-1 --from "$(ago 45)" --to "$(ago 25)")
refused recorder INVALID_ARGUMENT R-000-13 "${interruption[@]}" --cause technical --voice-note "$second@2"
refused recorder STATEMENT_MISSING R-000-13 "${interruption[@]}" --cause battery_low
refused recorder INVALID_ARGUMENT R-000-13 "${interruption[@]}" --cause battery_low --voice-note "$first@2"
run recorder "${interruption[@]}" --cause battery_low --voice-note "$second@2.5"
run recorder activity show A-1
shows preservation complete
step "the flat battery is spoken of on the recording that resumed; nothing less closes the gap (R-000-11, R-000-13 第十三条)"

# 第二十条
for item in "$first" "$second"; do
    run recorder item label "$item" department='城区中队'
    run recorder item label "$item" device_no=D1
    run recorder item label "$item" officer='王某 苏ZF001'
    run recorder item label "$item" rec_start="$(ago 65)"
    run recorder item label "$item" rec_end="$(ago 5)"
    run recorder item show "$item"
    says '"content"'
    run recorder item label "$item" content='占道经营现场检查'
    run recorder item show "$item"
    shows labels_missing '[]'
done
step "the archive entry has its five contents, and is none before the last of them (R-000-20 第二十条)"

# 第二十一条: 投诉
refused unit-head INVALID_ARGUMENT R-000-21b item trigger "$second" complaint --basis '12345工单88号'
run unit-head item trigger "$second" objection_complaint_petition --basis '12345工单88号'
run legal item explain "$second"
shows kept_until null
says '"rule": "R-000-21b"'
run unit-head item trigger "$first" other_important --basis '误录'
mistaken=$(value record)
step "a complaint about it: the recording is kept without an end (R-000-21b, G7 第二十一条)"

run legal case open '启城罚〔2026〕8号' --unit U1 --title '占道经营'
run legal case bind '启城罚〔2026〕8号' --item "$first"
run legal item explain "$first"
says '"rule": "R-000-22"'
step "the other one is evidence of a case (R-000-22, G6 第二十二条)"

# 第二十五条: 公安、检察院、法院查阅
judicial=(request submit --act view --item "$first" --reason '办理行政诉讼案件')
refused legal FIELD_MISSING C5 "${judicial[@]}"
refused recorder ROLE_NOT_ALLOWED R-000-25a "${judicial[@]}" --field purpose=judicial
refused legal FIELD_MISSING R-000-25a "${judicial[@]}" --field purpose=judicial --field letter_no='法函7号'
judicial+=(--field purpose=judicial --field letter_no='法函7号' --field recipient_kind=court)
run legal "${judicial[@]}" --field viewer_org='启东市人民法院'
request=$(value request)
refused keeper APPROVAL_MISSING R-000-25a view "$request" "$first"
refused approver ROLE_NOT_ALLOWED R-000-25a request approve "$request"
run head request approve "$request"
refused custodian OUTSIDE_UNIT R-000-25a view "$request" "$first"
refused keeper FIELD_MISSING R-000-25a view "$request" "$first"
says 'viewer'
run legal "${judicial[@]}" --field viewer_org='启东市人民法院' --field viewer='法官赵某'
request=$(value request)
run head request approve "$request"
watch keeper "$folder/first.mp4" "$request" "$first"
step "a court views: the legal office reports, the head approves, the department that owns it registers and shows it (R-000-25a 第二十五条)"

# 第二十六条: 局各部门之间
internal=(request submit --act view --item "$first" --reason '案情会商' --field purpose=internal_department)
run recorder "${internal[@]}" --field viewer_dept='督查科' --field viewer='钱某'
request=$(value request)
run head request approve "$request"
refused recorder ROLE_NOT_ALLOWED R-000-26 view "$request" "$first"
watch keeper "$folder/first.mp4" "$request" "$first"
watch recorder "$folder/first.mp4" "$first" --reason '标注'
watch unit-head "$folder/first.mp4" "$first" --reason '日常检查'
step "another department views with the head's approval; none is needed by the head of the unit, and by the officer for labelling (R-000-20, R-000-26 第二十六条)"

# 第二十二条: the text says 按照有关要求 and no more; the agency says who approves.
copying=(request submit --act copy --item "$first" --reason '附卷')
refused legal ACT_UNSPECIFIED R-000-22 "${copying[@]}"
sed '/^\[acts\.copy\]$/,/^$/c\
[acts.copy]\
requesters = ["legal"]\
approvers = "head"\
executors = ["custodian", "unit-head"]\
owning-unit = true\
register = "production_note"\
valid-days = 30\
uses = 1\
note = "局规定：局主要领导批准。"\
rule = "R-000-22"\
article = "第二十二条 现场执法记录需要作为证据使用的,从存储设备中复制调取,应当按照有关要求,制作文字说明材料"\
' "$profiles/$profile.toml" >"$folder/second-version.toml"
new_version "$folder/second-version.toml"
run legal "${copying[@]}" --field production_method='光盘刻录' --field produced_by='孙某' --field purpose_of_proof='占道经营事实'
request=$(value request)
run head request approve "$request"
refused keeper FIELD_MISSING R-000-22 copy-out "$request" --to "$folder/no-note"
says 'transcript'
run legal "${copying[@]}" --field production_method='光盘刻录' --field produced_by='孙某' \
    --field purpose_of_proof='占道经营事实' --field transcript='见询问笔录'
request=$(value request)
run head request approve "$request"
hand_out keeper "$request" copy "$folder/first.mp4"
step "the agency names the approver by a new version, two people and a day; then a copy is made with its production note (R-000-22 第二十二条)"

# 第二十五条: 移送
transferring=(request submit --act transfer --item "$first" --reason '作为证据移送' --field recipient_kind=police
    --field agent_id='警号110' --field letter_no='公函3号' --field receiving_org='启东市公安局')
refused unit-head ROLE_NOT_ALLOWED R-000-25b "${transferring[@]}"
run legal "${transferring[@]}" --field receiver='周某'
request=$(value request)
run head request approve "$request"
refused custodian OUTSIDE_UNIT R-000-25b copy-out "$request" --to "$folder/not-theirs"
hand_out keeper "$request" transfer "$folder/first.mp4"
refused keeper GRANT_ENDED R-000-25b copy-out "$request" --to "$folder/twice"
step "transferred to the police by the same chain, once, registered (R-000-25b 第二十五条)"

# 第二十四条: 密级
run legal item classify "$first" state-secret --basis '保密办复函'
refused legal RESTRICTED R-000-24 request submit --act publish --item "$first" --reason '宣传' --field recipient_kind=society \
    --field channel='网站' --field clearance='未核'
run legal item classify "$first" open --basis '解密'
step "a state secret is published by nobody (R-000-24 第二十四条)"

# 第二十一条: 不少于6个月
record statement.pdf 4 4
statement=$item
not_disposable RETENTION_ACTIVE R-000-21a "$statement"
not_disposable RETENTION_ACTIVE R-000-22 "$first"
run legal case close '启城罚〔2026〕8号' --outcome '结案' --reason '已缴纳罚款'
refused legal TERM_MISSING G6 case archive '启城罚〔2026〕8号' --date "$(ago 1)"
run archivist case archive '启城罚〔2026〕8号' --date "$(ago 1)" --term-months 120
pass 200
run archivist disposal propose --dry-run --basis x --item "$statement"
shows eligible true
not_disposable RETENTION_ACTIVE R-000-21b "$first"
run legal correction propose trigger "$first" --record "$mistaken" --reason '误录'
correction=$(value correction)
not_disposable RETENTION_ACTIVE R-000-21b "$first"
run head correction approve "$correction"
not_disposable RETENTION_ACTIVE R-000-21b "$first"
pass 8
not_disposable RETENTION_ACTIVE R-000-22 "$first"
step "six months are the floor; a mistaken trigger is corrected by two offices and a week; the file's term goes on (R-000-21a, R-000-22, G7)"

pass 3700
not_disposable RETENTION_ACTIVE R-000-21b "$second"
dispose "$first"
run legal item show "$second"
shows item "$second"
step "ten years later the evidence is gone, and the recording of the complaint is still kept (R-000-21b 第二十一条)"

# 第三条
run recorder device return D1 --un-ingested 0 --accessories '充电座、背夹'
refused legal NOT_YOUR_STEP R-000-3 device accept D1
run custodian device accept D1
run custodian device clearance recorder
step "the device is back, and the officer is cleared (R-000-3 第三条)"
