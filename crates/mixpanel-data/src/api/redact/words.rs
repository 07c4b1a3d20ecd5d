//! Distinguishes words from other sequences of letters without a full dictionary.

/// Words of up to four letters that occur in messages, and a few longer ones that do not look like words.
const SHORT: &str = "\
a i ad ai am an as at be by cc cd co db de dc do eg en et eu ex fr go gb hc he hi hr ie id if in ip is it jp kb la le mb md \
me mp ms mr my na no nt of ok on or os pc pm re ru sa sh so sp st tb tb to tv uk un up us utc ux vm vs we ws \
abc acl act add age ago aid air all and any api app are arg arr art asc ask aug aws azp bad bar bat big bit box bug but buy \
bye can cap car cdn cli cmd col com con cors cpu crc crm csv cut dag day dec del den der des dev die did dir dns doc dot \
due e2e ein end eof env err est etc eur eve exe far feb few fig fix fn foo for fri ftp gcp get git gmt got had has her \
hex him his hit hot how hub ios its jan jar job jpg jql js json jul jun jwt key kib let lib log low ltd mac mai mar max may \
md5 men met mib mid min mit mix mod mon mp4 mtu nan net new nil nix non nor not nov now npm nul num obj oct odd off old \
one oom org our out own pad par pay pdf per pid pkg png pop pos pro pub put raw red ref reg rel req res ret row rpc rsa \
rst run sat say sdk sec see sep seq set sha she sig sin sql src ssh ssl sso str sub sum sun svg syn tab tag tar tax tcp \
ten the thu tip tls tmp tmz too top try tsv tue two txt udp uid und une une uri url usd use usr utf val var via vpc vpn \
wan war was wed web who why win won www xml yes yet you zip zone \
able ajax also amid area args argv atom auth away back bare base been best beta bind bits blob body book bool both bulk \
busy byte call came card case cast char chat city code come conf copy core cost curl data date days dead deep demo \
deny desc dict diff dir disk does done down drop dump each easy edge edit else emit enum envs eval even ever exec exit \
expr face fact fail fall fast feed feel felt file fill find five flag flow font fold food fork form four free from full \
func game gate gave girl give glob goal goes gone good grid grow gzip half hand hard hash have head held help here high \
hint hold home host hour html http href hub icon idle info init into item jobs join jump just keep keys kill kind knew \
know last late lead leaf left less life like line link list live load lock logs long look loop lost made mail main make \
many mark math maxi meta mime mind miss mode more most move much must mute name near need next nice node none note null \
once only open opts over pack page paid part pass past path peer ping pipe plan play plus poll pool port post prod pull \
pure push quit race rank rate read real redo rest ring role root rows rule runs safe said same save scan seat seed seek seen \
self send sent show shut side sign site size skip slow snap soap some soon sort span spec ssl step stop such sure swap \
sync tags tail take talk task team tell temp term test text than that them then they this thus tick till time tiny \
todo told took tool total true turn type undo unit unix upon url used user uses utc uuid view void wait walk want warn \
ways week well went were west what when whom wide wifi will wire wish with word work wrap cert https localhost xss year yaml your zero";

/// Letters that do not follow a given letter in English and related languages, except in rare words. One entry
/// per letter, from `a`.
const NOT_AFTER: [&str; 26] = [
    "a",
    "ghkqwxz",
    "bdfgjmnpvwxz",
    "kqxz",
    "",
    "bcdghjkmnpqvwxz",
    "bcdfjkpqvwxz",
    "cfgjkpqvxz",
    "hjwy",
    "bcdfghjklmnpqrstvwxyz",
    "bcfhjkmqtvxz",
    "hjnqxz",
    "cdghjkqrtvwxz",
    "xz",
    "q",
    "fjknqvwxz",
    "abcdefghijklmnopqrstvwxyz",
    "jqxz",
    "jvxz",
    "jqvxz",
    "hjquw",
    "bcdfghjklmnpqrstvwxz",
    "bcgjmpquvwxz",
    "bdgjklmnqrsvwxz",
    "fhjkquvxyz",
    "bcdfghjkmnpqrstvwx",
];
/// The maximum length of a word; anything longer is several words or none.
const WORD_CHARS_MAX: usize = 20;

/// How likely a sequence of letters is to be a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Certainly a word.
    Sure,
    /// Perhaps a short word, or a name.
    Likely,
    /// Not a known word.
    Unknown,
}

/// Classifies a sequence of lowercase ASCII letters.
pub(super) fn judge(letters: &str) -> Word {
    if letters.len() < 2 {
        return Word::Unknown;
    }
    if letters.len() <= 9 && SHORT.split_ascii_whitespace().any(|word| word == letters) {
        return Word::Sure;
    }
    if !is_pronounceable(letters.as_bytes()) {
        return Word::Unknown;
    }
    if letters.len() > 4 { Word::Sure } else { Word::Likely }
}

/// Returns whether the letters form a plausible word.
fn is_pronounceable(letters: &[u8]) -> bool {
    let is_vowel = |letter: &u8| b"aeiouy".contains(letter);
    let longest =
        |of: fn(bool) -> bool| letters.split(|letter| !of(is_vowel(letter))).map(<[u8]>::len).max().unwrap_or_default();
    let follows = |pair: &[u8]| !NOT_AFTER[usize::from(pair[0] - b'a')].as_bytes().contains(&pair[1]);
    letters.len() <= WORD_CHARS_MAX
        && letters.iter().any(is_vowel)
        && longest(|is_vowel| !is_vowel) <= 5
        && longest(|is_vowel| is_vowel) <= 3
        && letters.windows(2).all(follows)
        && !letters.windows(3).any(|three| three[0] == three[1] && three[1] == three[2])
}
