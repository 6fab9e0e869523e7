//! Recognises thanks, goodbyes and assent, which carry no request and no information.

/// Words that make a message thanks or a goodbye.
const THANKS: &str = "thank thanks thankyou thx ty bye goodbye cheers appreciate appreciated grateful welcome danke dank \
     tschüss merci revoir gracias adiós grazie arrivederci obrigado obrigada спасибо благодарю пока \
     teşekkürler dziękuję tack";

/// Words that may accompany them without adding content: English words with the parts of contractions, and words of the
/// other languages in [`THANKS`].
const FILLERS: &str = "a about advice again all alright am amazing and answer answers are awesome be best care clear cool d day \
     detailed do evening everything excellent explaining explanation feel fine for from further glad good got \
     great guidance guide have help helped helpful helping helps here i in information insight insights is it \
     later ll lot luck m makes more much my nice no of ok okay other out patience perfect question questions \
     quick re really response rest s see sense so soon sounds suggestion suggestions support sure take that \
     the then these this time tip tips to today truly try trying understand understood ve very was weekend \
     will wish wonderful you your für die das ihre deine hilfe vielen herzlichen schön sehr alles gute \
     beaucoup pour votre ton aide au bonne journée muchas muchísimas por su tu ayuda todo buen día mille per \
     il tuo suo aiuto muito pela ajuda sua большое огромное за помощь вам вашу clears up dir ich probiere es aus hilft mir weiter la información me ha sido muy útil";

/// Phrases of agreement, or of having nothing more to say.
const ASSENTS: &str = "ok|okay|sure|great|good|fine|cool|nice|perfect|awesome|amazing|excellent|wonderful|alright|all right|\
     got it|i see|i understand|understood|i got it|makes sense|that makes sense|that makes perfect sense|\
     sounds good|sounds great|sounds perfect|that sounds good|that sounds great|that helps|that helps a lot|\
     very helpful|that was helpful|that is helpful|that was very helpful|that is very helpful|good to know|\
     noted|will do|all clear|that is all|that s all|nothing else|no more questions|no further questions|\
     i have no more questions|i have no further questions|好的|好|嗯|没问题|明白|明白了|我明白了|知道了|我知道了|了解|了解了|清楚了|太好了|不客气|\
     好的好的";

/// Phrases in scripts without spaces between words. A phrase comes before the shorter ones that it contains.
const THANKS_UNSPACED: &str = "非常感谢 十分感谢 感谢 谢谢 多谢 再见 拜拜 ありがとうございました ありがとうございます ありがとう 감사합니다 \
     고맙습니다";
const FILLERS_UNSPACED: &str = "祝你生活愉快 祝您生活愉快 生活愉快 祝您 祝你 好的 明白了 知道了 了解了 我明白 我知道 清楚了 没问题 很有帮助 \
     有帮助 的帮助 的解答 的回答 的建议 的解释 我会注意的 我会注意 とても参考になりました 参考になりました 太好了 非常 医生 老师 您 你 了 好 啦 哦 どうも 本当に 정말 \
     도와주셔서";

/// True where a message is only thanks, a goodbye, or assent that `heard`, the last answer, did not ask for.
pub(super) fn is_courtesy(text: &str, heard: &str) -> bool {
    if text.contains(['?', '？']) {
        return false;
    }
    is_thanks(text) || is_assent(text) && !heard.contains(['?', '？'])
}

/// True where a message is only thanks or a goodbye.
pub(super) fn is_thanks(text: &str) -> bool {
    let lower = text.to_lowercase();
    let unspaced = || THANKS_UNSPACED.split(' ');
    let mut thanked = unspaced().any(|phrase| lower.contains(phrase));
    let rest = unspaced().chain(FILLERS_UNSPACED.split(' ')).fold(lower, |rest, phrase| rest.replace(phrase, " "));
    let mut words = rest.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let is_nothing = words.all(|word| {
        let thanks = list_holds(THANKS, ' ', word);
        thanked |= thanks;
        thanks || list_holds(FILLERS, ' ', word)
    });
    is_nothing && thanked
}

/// True where every part of a message is assent. A message without letters (a thumbs-up) is assent too.
fn is_assent(text: &str) -> bool {
    let lower = text.to_lowercase();
    let said = lower.split(|letter: char| !letter.is_alphanumeric() && letter != ' ' && letter != '\'');
    let said = said.map(|part| part.replace('\'', " ")).map(|part| part.trim().to_owned());
    said.filter(|part| !part.is_empty()).all(|part| list_holds(ASSENTS, '|', &part))
}

fn list_holds(list: &str, separator: char, entry: &str) -> bool {
    list.split(separator).any(|other| other == entry)
}
