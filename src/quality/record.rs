use super::candidate::Candidate;
use super::gate::{Gate, GateVerdict};
use crate::conversation::{Finish, Record, Role};

/// The verdict on one answer of a finished row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedTurn {
    /// The answer's number in the row, from 0.
    pub turn: usize,
    /// The index of the first line of its turn, which is the line after the previous answer.
    pub begins: usize,
    /// The result of the rules.
    pub verdict: GateVerdict,
}

/// Judges the trained answers of a finished row, each with the lines before it as context.
pub fn judge_record(gate: &Gate, record: &Record) -> Vec<JudgedTurn> {
    let mut judged = Vec::new();
    each_answer(record, |turn, begins, candidate| {
        judged.push(JudgedTurn { turn, begins, verdict: gate.judge(candidate) });
    });
    judged
}

/// Passes the trained answers of a finished row, each with the lines before it as context: its number among them, from 0, the
/// index of the first line of its turn, and the answer. The finish reasons come from `meta.turns` as this program writes it.
pub fn each_answer(record: &Record, mut take: impl FnMut(usize, usize, &Candidate<'_>)) {
    let (mut answers, mut earlier): (usize, Vec<&str>) = (0, Vec::new());
    let (mut user, mut system, mut begins) = (None, None, 0);
    let turns = record.meta.get("turns").and_then(|turns| turns.as_array());
    for (at, line) in record.lines.iter().enumerate() {
        match line.role() {
            Role::User => user = Some(line.text()),
            Role::System => system = system.or(Some(line.text())),
            // Tool calls have no text to judge. Text before the first user message does not answer anything.
            Role::Assistant if line.message.is_tool_use() => {}
            Role::Assistant => {
                if let Some(user) = user.filter(|_| line.is_trained) {
                    let mut candidate = Candidate::new(user, line.text());
                    (candidate.earlier, candidate.system) = (std::mem::take(&mut earlier), system);
                    let ended = turns.and_then(|turns| turns.get(answers)?["finish_reason"].as_str());
                    candidate.finish = (ended == Some(Finish::Length.name())).then_some(Finish::Length);
                    take(answers, begins, &candidate);
                    answers += 1;
                    earlier = candidate.earlier;
                }
                earlier.extend(user.map(|_| line.text()));
                begins = at + 1;
            }
            Role::Tool => {}
        }
    }
}
