use serde_json::{Value, json};

use super::record::{answer_line, source_columns};
use super::{append_row, openai_message, with_tools};
use crate::conversation::{Answer, Flaw, Grade, Lesson, Line, Pairing, Record, Remedy, Role, Seed, TurnIndex};

/// Returns a lesson as a fine-tuning row: the student's prompt and the correction, which is the only trained answer. `None`
/// for a correction that was judged worse than the student's answer.
pub fn lesson_record(seed: &Seed, lesson: &Lesson, history: &str) -> Option<Record> {
    let correction = lesson.learned()?;
    Some(Record { turn: Some(lesson.turn), ..with_answer(seed, lesson, history, &correction.answer) })
}

/// Returns the correction and the student's answer as a preference pair, if the lesson was accepted as one.
pub fn lesson_pair(seed: &Seed, lesson: &Lesson, history: &str) -> Option<Record> {
    let correction = lesson.correction.as_ref()?;
    let Pairing::Accepted(margin) = correction.pairing else { return None };
    let mut pair = with_answer(seed, lesson, history, &correction.answer);
    pair.rejected = Some(answer_line(&lesson.student));
    pair.id = format!("{}#{}", seed.id, lesson.turn);
    pair.meta.insert("margin".to_owned(), margin.into());
    Some(pair)
}

/// Returns one labelled record per answer. The student's answer is good from [`Grade::GOOD_SCORE`] on; an incomplete one is
/// left out. The correction is labelled good, and left out where its own grade is lower.
pub fn lesson_labels(seed: &Seed, lesson: &Lesson, history: &str) -> Vec<Record> {
    let label = |answer: &Answer, whose: &str, label: bool| Record {
        id: format!("{}#{}.{whose}", seed.id, lesson.turn),
        label: Some(label),
        ..with_answer(seed, lesson, history, answer)
    };
    let student = lesson.student_score().filter(|_| lesson.student.is_whole());
    let student = student.map(|score| label(&lesson.student, "student", score >= Grade::GOOD_SCORE));
    let is_good = lesson.correction_score().is_none_or(|score| score >= Grade::GOOD_SCORE);
    let correction = lesson.learned().filter(|correction| correction.remedy != Remedy::Keep && is_good);
    let correction = correction.map(|correction| label(&correction.answer, "teacher", true));
    student.into_iter().chain(correction).collect()
}

/// Appends the grade of a student's answer as a row: `prompt`, `completion`, the grade as text in `privileged_context`, as
/// TRL's `SDFTTrainer` and `SDPOTrainer` (`trl.experimental`, 1.9) expect it, and the grade itself in `critique`. Returns
/// false where the lesson has no grade.
pub fn critique_row(seed: &Seed, lesson: &Lesson, history: &str, out: &mut Vec<u8>) -> bool {
    let Some(grade) = &lesson.grade else { return false };
    let record = with_answer(seed, lesson, history, &lesson.student);
    let (last, prompt) = record.lines.split_last().expect("the answer was just appended");
    let prompt: Vec<Value> = prompt.iter().map(openai_message).collect();
    let flaw = |flaw: &Flaw| json!({"quote": flaw.quote, "type": flaw.kind, "fix": flaw.fix});
    let row = json!({
        "id": format!("{}#{}", seed.id, lesson.turn),
        "prompt": prompt,
        "completion": [openai_message(last)],
        "privileged_context": grade_in_words(grade),
        "critique": {
            "score": grade.score, "errors": grade.flaws.iter().map(flaw).collect::<Vec<_>>(),
            "verdict": grade.verdict.name(),
        },
        "meta": record.meta,
    });
    append_row(out, &with_tools(row, &record));
    true
}

/// Returns a conversation up to the last turn that is hard for the student, with the corrections as answers. `None` where
/// no turn is hard.
pub fn hard_record(seed: &Seed, lessons: &[Lesson], history: &str) -> Option<Record> {
    let hard: Vec<TurnIndex> = lessons.iter().filter(|lesson| lesson.is_hard()).map(|lesson| lesson.turn).collect();
    let last = hard.last()?.number() as usize;
    let mut lines = Vec::new();
    for (turn, lesson) in seed.turns.iter().zip(lessons).take(last) {
        lines.extend(turn.messages.iter().cloned().map(Line::context));
        let correction = lesson.correction.as_ref()?;
        lines.push(answer_line(&correction.answer));
    }
    // No answer is masked here: the next round uses the user messages only.
    for line in lines.iter_mut().filter(|line| line.role() == Role::Assistant) {
        line.is_trained = true;
    }
    let mut meta = source_columns(seed);
    let scores = |score: fn(&Lesson) -> Option<f64>| lessons[..last].iter().map(score).collect::<Vec<_>>();
    let tutor = json!({
        "history_policy": history, "hard_turns": hard, "student_scores": scores(Lesson::student_score),
        "teacher_scores": scores(Lesson::correction_score),
    });
    meta.insert("tutor".to_owned(), tutor);
    Some(Record { id: seed.id.clone(), lines, meta, ..Record::default() })
}

fn with_answer(seed: &Seed, lesson: &Lesson, history: &str, answer: &Answer) -> Record {
    let mut lines: Vec<Line> = lesson.prompt.iter().cloned().map(Line::context).collect();
    lines.push(answer_line(answer));
    let mut meta = source_columns(seed);
    meta.insert("tutor".to_owned(), lesson_facts(lesson, history));
    Record { id: seed.id.clone(), lines, meta, ..Record::default() }
}

/// Returns a lesson's metadata for `meta.tutor`.
fn lesson_facts(lesson: &Lesson, history: &str) -> Value {
    let origin: Vec<&str> = lesson.history.iter().map(|speaker| speaker.name()).collect();
    json!({
        "turn": lesson.turn,
        "history_policy": history,
        "history": origin,
        "remedy": lesson.correction.as_ref().map(|correction| correction.remedy.name()),
        "pair": lesson.correction.as_ref().map(|correction| correction.pairing.name()),
        "student_score": lesson.student_score(),
        "teacher_score": lesson.correction_score(),
        "student_fault": lesson.fault,
        "student_model": lesson.student.model,
    })
}

/// Returns a grade as text.
fn grade_in_words(grade: &Grade) -> String {
    let mut lines = vec![format!("Score: {} of 10.", grade.score)];
    if grade.flaws.is_empty() {
        let is_good = grade.score >= Grade::GOOD_SCORE && grade.verdict == Remedy::Keep;
        lines.push(
            if is_good { "No errors were found." } else { "No error was quoted, but the answer should be replaced." }
                .to_owned(),
        );
    }
    lines.extend(grade.flaws.iter().map(|flaw| {
        if flaw.is_omission() {
            return format!("- missing after \"{}\": {}", flaw.quote, flaw.fix);
        }
        let fix =
            if flaw.fix.is_empty() { "should be removed.".to_owned() } else { format!("should be: {}", flaw.fix) };
        format!("- {} error: \"{}\" {fix}", flaw.kind, flaw.quote)
    }));
    lines.join("\n")
}
