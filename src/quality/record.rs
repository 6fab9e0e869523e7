use super::candidate::Candidate;
use super::gate::{Gate, GateVerdict};
use crate::conversation::{Finish, Record, Role};

/// What the rules said of one answer of a finished row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedTurn {
    /// The answer's number among those of the row, from 0.
    pub turn: usize,
    /// Where its turn begins: the first line behind the answer before it.
    pub begins: usize,
    /// What was said of it.
    pub verdict: GateVerdict,
}

/// Judges the answers of a finished row that are to be learned, each with what stands before it. `meta.turns`, as this
/// program writes it, tells how they ended.
pub fn judge_record(gate: &Gate, record: &Record) -> Vec<JudgedTurn> {
    let (mut judged, mut earlier): (Vec<JudgedTurn>, Vec<&str>) = (Vec::new(), Vec::new());
    let (mut user, mut system, mut begins) = (None, None, 0);
    let turns = record.meta.get("turns").and_then(|turns| turns.as_array());
    for (at, line) in record.lines.iter().enumerate() {
        match line.role() {
            Role::User => user = Some(line.text()),
            Role::System => system = system.or(Some(line.text())),
            // The call to a tool is no words, and words before the first user answer nobody.
            Role::Assistant if line.message.is_tool_use() => {}
            Role::Assistant => {
                if let Some(user) = user.filter(|_| line.is_trained) {
                    let mut candidate = Candidate::new(user, line.text());
                    (candidate.earlier, candidate.system) = (std::mem::take(&mut earlier), system);
                    let ended = turns.and_then(|turns| turns.get(judged.len())?["finish_reason"].as_str());
                    candidate.finish = (ended == Some(Finish::Length.name())).then_some(Finish::Length);
                    judged.push(JudgedTurn { turn: judged.len(), begins, verdict: gate.judge(&candidate) });
                    earlier = candidate.earlier;
                }
                earlier.extend(user.map(|_| line.text()));
                begins = at + 1;
            }
            Role::Tool => {}
        }
    }
    judged
}
