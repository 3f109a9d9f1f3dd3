#!/usr/bin/env bash
# 厦城执〔2021〕28号: a case of the Xiamen city management bureau, from the body camera's issue to its disposal.
#
#   tests/regulations/xiamen.sh path/to/strongroom [folder]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

begin xiamen-chengguan
step "one bureau under 厦城执〔2021〕28号, on three nodes in three districts"

# 一、谁使用、谁保管、谁负责; 六（一）台账
run custodian device issue D1 --to recorder --accessories '充电座'
refused legal NOT_YOUR_STEP R-003-6a device accept D1
run recorder device accept D1
run custodian device ledger D1
says '"what": "issue"'
says '"what": "accepted"'
step "the officer holds the camera after both have signed; the ledger says so (R-003-6a 六（一）)"

# 二、使用范围
opening=(activity open A-1 --unit U1 --place '湖滨南路88号' --party '某某商行' --matter '占道经营'
    --officer '王某:闽ZF001' --officer '李某:闽ZF002' --started "$(ago 65)")
refused recorder INVALID_ARGUMENT R-003-2 "${opening[@]}" --kind '现场检查'
run recorder "${opening[@]}" --kind patrol_inspection
step "an activity is of one of the eight kinds; another word is refused (R-003-2 二)"

# 五¶1: 24小时内传输
record first.mp4 65 45 --activity A-1
first=$item
record second.mp4 25 5 --activity A-1
second=$item
run recorder activity end A-1 --at "$(ago 5)"
run recorder activity end A-1 --what work_day_ended --at "$(ago 4)"
run recorder activity show A-1
shows ingest on_time
shows preservation gaps_open
step "two recordings are in within 24 hours, with 20 minutes missing between them (R-003-5a 五)"

# 六（二）: 执勤日志并向上级领导报告
interruption=(activity interruption A-1 --from "$(ago 45)" --to "$(ago 25)")
refused recorder INVALID_ARGUMENT R-003-6b "${interruption[@]}" --cause battery_low --voice-note "$second@5"
refused recorder STATEMENT_MISSING R-003-6b "${interruption[@]}" --cause device_fault --voice-note "$second@5"
record duty-log.pdf 4 4
log=$item
refused recorder STATEMENT_MISSING R-003-6b "${interruption[@]}" --cause device_fault --statement "$log"
run recorder "${interruption[@]}" --cause device_fault --statement "$log" --reported-to '中队长陈某'
run recorder activity show A-1
shows preservation complete
step "the interruption has a cause of the text, the duty log and the report to the superior; nothing less closes the gap (R-003-6b 六（二）)"

# 五¶1-2: 48小时内标注; 单位名称+行政执法相对人+检查日期+检查内容
run recorder item show "$first"
says '"inspect_content"'
shows display_name null
for item in "$first" "$second"; do
    run recorder item label "$item" party='某某商行'
    run recorder item label "$item" inspect_date="$(ago 65 | cut -c1-10)"
done
run recorder item show "$first"
shows display_name null
run recorder item label "$first" inspect_content='占道经营现场检查'
run recorder item label "$second" inspect_content='占道经营/询问'
date=$(ago 65 | cut -c1-10)
run recorder item show "$first"
shows labels_missing '[]'
shows display_name "厦门市城市管理行政执法局+某某商行+${date//-/}+占道经营现场检查"
run recorder item show "$second"
shows display_name "厦门市城市管理行政执法局+某某商行+${date//-/}+占道经营%2F询问"
run recorder activity show A-1
says '"label": "on_time"'
says_not '"label": "due"'
step "the name of four parts is made from the labels once none is missing, within 48 hours (R-003-5a, R-003-5b 五)"

# 投诉: the text knows no long-term circumstances, so that a hold keeps what is disputed.
run legal hold place '某某商行投诉' --authority '市信访局' --document '信访转办单15号' --reason '投诉处理' --activity A-1
shows matched 2
step "a complaint: the text has no long-term circumstances, a hold keeps what was recorded in the activity (G3)"

# 案件
run legal case open '厦城罚〔2026〕15号' --unit U1 --title '占道经营'
run legal case bind '厦城罚〔2026〕15号' --item "$first" --item "$second"
step "the recordings are evidence of a penalty case (R-003-5e 五)"

# 查阅: 六（五）7 未经规定程序不得查阅
watch recorder "$folder/first.mp4" "$first" --reason '标注'
refused legal APPROVAL_MISSING R-003-5d view "$first" --reason '案审'
refused head APPROVAL_MISSING C5 view "$first" --reason '看看'
refused legal FIELD_MISSING R-003-6c request submit --act view --item "$first" --reason '行政复议'
refused approver ROLE_NOT_ALLOWED C5 request submit --act view --item "$first" --reason '行政复议' --field slip_no=1
run legal request submit --act view --item "$first" --reason '行政复议' --field slip_no='调用单2026-1' \
    --field applicant='法制科张某' --field applicant_unit='市局法制处'
request=$(value request)
says 'approval by approver'
refused archivist APPROVAL_MISSING R-003-6c view "$request" "$first"
refused head ROLE_NOT_ALLOWED R-003-6c request approve "$request"
run approver request approve "$request"
shows state approved
refused custodian ROLE_NOT_ALLOWED R-003-6c view "$request" "$first"
refused archivist OUTSIDE_GRANT G8 view "$request" "$second"
refused archivist OUTSIDE_GRANT G8 copy-out "$request" --to "$folder/not-this"
watch archivist "$folder/first.mp4" "$request" "$first"
step "seen only with the slip's number, the competent leader's consent and by the archivist's hand; for labelling the officer needs none (R-003-5a 五, R-003-6c 六（三）)"

# 调用: 《城管执法全过程记录调用单》
refused legal ACT_UNSPECIFIED R-003-6e request submit --act transfer --item "$first" --reason '移送'
refused legal ACT_UNSPECIFIED R-003-6e request submit --act provide --item "$first" --reason '当事人要求'
step "nothing is handed to outsiders: the text names no procedure for it (R-003-6e 六（五）7)"
run legal request submit --act copy --item "$first" --item "$second" --reason '行政复议' --field slip_no='调用单2026-2'
request=$(value request)
run approver request approve "$request"
refused archivist FIELD_MISSING R-003-6c copy-out "$request" --to "$folder/no-slip"
says 'retrieval_slip'
run legal request submit --act copy --item "$first" --item "$second" --reason '行政复议' --field slip_no='调用单2026-3' \
    --field applicant='法制科张某' --field applicant_unit='市局法制处'
request=$(value request)
run approver request approve "$request"
refused custodian ROLE_NOT_ALLOWED R-003-6c copy-out "$request" --to "$folder/wrong-hand"
hand_out archivist "$request" copy "$folder/first.mp4" "$folder/second.mp4"
refused archivist GRANT_ENDED R-003-6c copy-out "$request" --to "$folder/again"
step "copied with a complete slip, once, by the archivist; the copy verifies offline (R-003-6c 六（三）)"

# 保管期限: 不少于一年; 与案卷保存期限相同
not_disposable RETENTION_ACTIVE R-003-5e "$log"
not_disposable HOLD_ACTIVE G3 "$first"
run legal hold release '某某商行投诉' --reason '投诉办结'
not_disposable HOLD_ACTIVE G3 "$first"
refused legal SAME_PERSON G8 hold release '某某商行投诉' --reason '投诉办结'
run head hold release '某某商行投诉' --reason '投诉办结'
not_disposable RETENTION_ACTIVE R-003-5e "$first" "$second"
says "is not archived"
run legal case close '厦城罚〔2026〕15号' --outcome '结案' --reason '处罚决定已执行'
refused archivist TERM_MISSING G6 case archive '厦城罚〔2026〕15号' --date "$(ago 1)"
run archivist case archive '厦城罚〔2026〕15号' --date "$(ago 1)" --term-months 36
pass 400
run archivist disposal propose --dry-run --basis x --item "$log"
shows eligible true
not_disposable RETENTION_ACTIVE R-003-5e "$first" "$second"
says "the file of case"
step "held while a hold stands, while the case is open, and as long as its file: a year is only the floor (R-003-5e 五)"

pass 800
step "years pass"
dispose "$first" "$second"
refused archivist DISPOSED C4 item show "$second"
run legal item show "$log"
step "what nobody disposed of is still there: expiry alone deletes nothing (G2)"
