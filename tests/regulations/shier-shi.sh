#!/usr/bin/env bash
# 十二师住房和城乡建设局行政执法音像记录管理制度: a case of the 12th Division's housing bureau. Nobody views without both
# approvals and the register.
#
#   tests/regulations/shier-shi.sh path/to/strongroom [folder]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

begin shier-shi-zhujian
step "one bureau under the 12th Division's rules, on three nodes in three districts"

# 第五条
run custodian device issue D1 --to recorder --accessories '备用电池'
refused legal NOT_YOUR_STEP B10 device accept D1
run recorder device accept D1
run station device dock-check D1 --offset-ms 0 --un-ingested 2 --battery 90
step "the officer holds the recorder after both have signed; battery, space and clock are looked at (R-002-5 第五条)"

# 第六、八、十三条
opening=(activity open A-1 --unit U1 --place '五一农场工地' --party '某某建筑公司' --matter '未批先建'
    --officer '马某:兵ZF001' --officer '阿某:兵ZF002' --started "$(ago 65)")
refused recorder INVALID_ARGUMENT R-002-6 "${opening[@]}" --kind site_inspection
run recorder activity open A-2 --unit U1 --place '工地' --party '某某建筑公司' --officer '马某:兵ZF001' --kind daily_inspection
run recorder activity show A-2
says 'SECOND_OFFICER_MISSING'
run recorder "${opening[@]}" --kind investigation
record first.mp4 65 45 --activity A-1
first=$item
record second.mp4 25 5 --activity A-1
second=$item
run station device dock-check D1 --offset-ms 0 --un-ingested 0
run recorder activity end A-1 --at "$(ago 5)"
run recorder activity show A-1
shows ingest on_time
shows preservation gaps_open
run recorder activity return A-1 --at "$(ago 3)" --delay remote
run recorder activity show A-1
says '"delay": "remote"'
step "one of five kinds, two officers with their numbers, stored the same day, or 24 hours after the return from afar (R-002-6, R-002-8, R-002-13)"

# 第十一条
interruption=(activity interruption A-1 --from "$(ago 45)" --to "$(ago 25)")
refused recorder INVALID_ARGUMENT R-002-11 "${interruption[@]}" --cause art12_same_phase_different_place_time
refused recorder STATEMENT_MISSING R-002-11 "${interruption[@]}" --cause place_changed
run recorder "${interruption[@]}" --cause place_changed --voice-note "$second@3"
run recorder activity show A-1
shows preservation complete
step "the change of place is spoken of on the recording that resumed (R-002-11 第十一条)"

# 第七条
run recorder activity open A-3 --unit U1 --place '监理单位' --party '某某监理公司' --officer '马某:兵ZF001' \
    --officer '阿某:兵ZF002' --started "$(ago 30)" --kind other
run recorder activity end A-3 --at "$(ago 10)"
exempting=(activity exempt A-3 --cause secrecy --text '涉及商业秘密' --consented-by '局主管领导' --office case_unit)
refused recorder FIELD_MISSING R-002-7 "${exempting[@]}" --legal-basis ' '
run recorder "${exempting[@]}" --legal-basis '第七条（一）' --reported-to '局主管领导'
run recorder activity show A-3
shows preservation exempt
says 'WORK_RECORD_MISSING'
record work-record.pdf 4 4
work_record=$item
run recorder activity show A-3
number=$(sed -n '/"exemptions"/,/"record"/s/^ *"\(number\|record\)": \([0-9]*\),\{0,1\}$/\2/p' <<<"$said" | head -n 1)
run recorder activity file A-3 "$number" --item "$work_record" --reported-to '局主管领导' --exemption
run recorder activity show A-3
says_not 'WORK_RECORD_MISSING'
step "what was not recorded has a cause, a basis and at last its work record (R-002-7 第七条)"

# 第八条
for item in "$first" "$second"; do
    run recorder item label "$item" officers='马某、阿某'
    run recorder item show "$item"
    says '"cert_numbers"'
    run recorder item label "$item" cert_numbers='兵ZF001、兵ZF002'
    run recorder item show "$item"
    shows labels_missing '[]'
done
step "labelled with two officers and their numbers (R-002-8 第八条)"

# 投诉: no long-term circumstances in the text
run legal hold place '工地投诉' --authority '师信访局' --document '信访件21号' --reason '投诉处理' --item "$second"
run legal case open '师住建罚〔2026〕6号' --unit U1 --title '未批先建'
run legal case bind '师住建罚〔2026〕6号' --item "$first" --item "$second"
step "a complaint is answered by a hold, since the text has no long-term circumstances; both recordings are evidence (G3, G6)"

# 第十六、十七条
for who in recorder unit-head legal; do
    refused "$who" APPROVAL_MISSING R-002-16 view "$first" --reason '整理'
done
viewing=(request submit --act view --item "$first" --reason '案情会商')
refused recorder FIELD_MISSING C5 "${viewing[@]}"
refused legal ROLE_NOT_ALLOWED R-002-16 "${viewing[@]}" --field purpose=work
run recorder "${viewing[@]}" --field purpose=work
request=$(value request)
refused custodian APPROVAL_MISSING R-002-16 view "$request" "$first"
run legal request approve "$request"
refused custodian APPROVAL_MISSING R-002-16 view "$request" "$first"
refused head ROLE_NOT_ALLOWED R-002-16 request approve "$request"
run approver request approve "$request"
refused custodian FIELD_MISSING R-002-16 view "$request" "$first"
says 'viewer'
run recorder "${viewing[@]}" --field purpose=work --field viewer='马某'
request=$(value request)
run approver request approve "$request"
refused custodian APPROVAL_MISSING R-002-16 view "$request" "$first"
run legal request approve "$request"
refused archivist ROLE_NOT_ALLOWED R-002-16 view "$request" "$first"
watch custodian "$folder/first.mp4" "$request" "$first"
step "seen after the legal office and the leader both approved and the keeper registered it; there is no standing view (R-002-16 第十六条)"

refused inspector FIELD_MISSING C5 request submit --act copy --item "$first" --reason '执法监督'
run inspector request submit --act copy --item "$first" --reason '执法监督' --field purpose=supervision --field viewer='督查组'
request=$(value request)
run approver request approve "$request"
refused custodian APPROVAL_MISSING R-002-17 copy-out "$request" --to "$folder/one-approval"
run legal request approve "$request"
hand_out custodian "$request" supervision "$folder/first.mp4"
refused legal ACT_UNSPECIFIED R-002-18 request submit --act provide --item "$first" --reason '单位来函'
step "taken for the supervision of enforcement by the same two approvals; nothing is given to outsiders (R-002-17, R-002-18)"

# 第十五条: 按照有关要求
copying=(request submit --act copy --item "$first" --reason '附卷' --field purpose=evidence)
refused recorder ACT_UNSPECIFIED R-002-15 "${copying[@]}"
sed '/^purpose = { code = "evidence"/,/^$/c\
purpose = { code = "evidence", words = "作为证据使用" }\
requesters = ["recorder", "unit-head"]\
approvers = { all = ["legal", "approver"] }\
executors = ["custodian"]\
register = "production_note"\
valid-days = 30\
uses = 1\
note = "局规定：与第十六条相同。"\
rule = "R-002-15"\
article = "第十五条 现场执法记录需要作为证据使用的，从存储设备中复制调取，应当按照有关要求，制作文字说明材料"\
' "$profiles/$profile.toml" >"$folder/second-version.toml"
new_version "$folder/second-version.toml"
run recorder "${copying[@]}" --field produced_by='马某'
request=$(value request)
run legal request approve "$request"
run approver request approve "$request"
refused custodian FIELD_MISSING R-002-15 copy-out "$request" --to "$folder/no-note"
says 'extracted_by'
run recorder "${copying[@]}" --field produced_by='马某' --field extracted_by='热某'
request=$(value request)
run approver request approve "$request"
run legal request approve "$request"
hand_out custodian "$request" copy "$folder/first.mp4"
step "the agency names the approvers by a new version, two people and a day; producer and extractor are in the note (R-002-15 第十五条)"

# 第十四条
not_disposable RETENTION_ACTIVE R-002-14 "$work_record"
not_disposable RETENTION_ACTIVE R-002-14 "$first"
says 'is not archived'
not_disposable HOLD_ACTIVE G3 "$second"
run unit-head case close '师住建罚〔2026〕6号' --outcome '结案' --reason '已整改'
refused legal TERM_MISSING G6 case archive '师住建罚〔2026〕6号' --date "$(ago 1)"
run archivist case archive '师住建罚〔2026〕6号' --date "$(ago 1)" --term-months 60
pass 400
run archivist disposal propose --dry-run --basis x --item "$work_record"
shows eligible true
not_disposable RETENTION_ACTIVE R-002-14 "$first"
says 'the file of case'
step "a year is the floor; evidence is kept as long as its file (R-002-14 第十四条)"

pass 1500
not_disposable HOLD_ACTIVE G3 "$first" "$second"
propose "$first" "$work_record"
run archivist "${words[@]}"
batch=$(value batch)
pass 8
run legal disposal approve "$batch"
run head disposal approve "$batch"
run legal hold place '纪检调阅' --authority '师纪委监委' --reason '执法监督' --activity A-1 --item "$work_record"
refused custodian HOLD_ACTIVE G3 disposal execute "$batch" --supervisor inspector --supervisor unit-head
run archivist disposal withdraw "$batch" --reason '纪检调阅'
for who in legal head; do run "$who" hold release '纪检调阅' --reason '办结'; done
step "a hold that came after both approvals still stops the disposal (C4)"

dispose "$first"
not_disposable HOLD_ACTIVE G3 "$second"
step "the other recording is kept as long as its hold stands (G3)"
