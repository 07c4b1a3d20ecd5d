//! Word lists for generated profiles: names, cities and streets in the script of each country.

/// A name in the local script, and its spelling in an email address.
pub(super) type Name = (&'static str, &'static str);

/// A city with its coordinates, to which the generator adds two more digits.
pub(super) type City = (&'static str, &'static str, &'static str);

pub(super) struct Country {
    /// Share of all profiles, in percent.
    pub(super) weight: u8,
    pub(super) code: &'static str,
    pub(super) locale: &'static str,
    pub(super) timezone: &'static str,
    pub(super) cities: &'static [City],
    pub(super) first: &'static [Name],
    pub(super) last: &'static [Name],
    pub(super) streets: &'static [&'static str],
}

pub(super) static COUNTRIES: [Country; 14] = [
    Country {
        weight: 28,
        code: "US",
        locale: "en-US",
        timezone: "America/Chicago",
        cities: &[
            ("Chicago", "41.88", "-87.63"),
            ("Austin", "30.27", "-97.74"),
            ("St. Louis", "38.63", "-90.20"),
            ("Portland", "45.52", "-122.68"),
        ],
        first: &[
            ("Emma", "emma"),
            ("Liam", "liam"),
            ("Ava", "ava"),
            ("Noah", "noah"),
            ("Zoë", "zoe"),
            ("Mason", "mason"),
            ("Grace", "grace"),
        ],
        last: &[
            ("Smith", "smith"),
            ("O'Connor", "oconnor"),
            ("Johnson", "johnson"),
            ("Nguyen", "nguyen"),
            ("García", "garcia"),
            ("Miller", "miller"),
        ],
        streets: &["Oak Street", "Maple Avenue", "W Lake Street"],
    },
    Country {
        weight: 9,
        code: "GB",
        locale: "en-GB",
        timezone: "Europe/London",
        cities: &[("London", "51.51", "-0.13"), ("Leeds", "53.80", "-1.55"), ("Bristol", "51.45", "-2.59")],
        first: &[("Oliver", "oliver"), ("Isla", "isla"), ("Harry", "harry"), ("Siân", "sian"), ("Imogen", "imogen")],
        last: &[
            ("Taylor", "taylor"),
            ("Brown", "brown"),
            ("Ashworth-Jones", "ashworth-jones"),
            ("Patel", "patel"),
            ("Hughes", "hughes"),
        ],
        streets: &["High Street", "Station Road", "Church Lane"],
    },
    Country {
        weight: 10,
        code: "DE",
        locale: "de-DE",
        timezone: "Europe/Berlin",
        cities: &[
            ("München", "48.14", "11.58"),
            ("Köln", "50.94", "6.96"),
            ("Berlin", "52.52", "13.40"),
            ("Lübeck", "53.87", "10.69"),
        ],
        first: &[("Jürgen", "juergen"), ("Anna", "anna"), ("Lukas", "lukas"), ("Käthe", "kaethe"), ("Mira", "mira")],
        last: &[
            ("Müller", "mueller"),
            ("Groß", "gross"),
            ("Schäfer", "schaefer"),
            ("Weber", "weber"),
            ("Yılmaz", "yilmaz"),
        ],
        streets: &["Hauptstraße", "Lindenallee", "Am Mühlgraben"],
    },
    Country {
        weight: 7,
        code: "FR",
        locale: "fr-FR",
        timezone: "Europe/Paris",
        cities: &[("Paris", "48.86", "2.35"), ("Nîmes", "43.84", "4.36"), ("Besançon", "47.24", "6.02")],
        first: &[("Élodie", "elodie"), ("François", "francois"), ("Chloé", "chloe"), ("Hugo", "hugo")],
        last: &[("Lefèvre", "lefevre"), ("Martin", "martin"), ("D’Aubigné", "daubigne"), ("Moreau", "moreau")],
        streets: &["rue de la République", "avenue des Tilleuls", "place de l’Église"],
    },
    Country {
        weight: 9,
        code: "BR",
        locale: "pt-BR",
        timezone: "America/Sao_Paulo",
        cities: &[
            ("São Paulo", "-23.55", "-46.63"),
            ("Brasília", "-15.79", "-47.88"),
            ("Florianópolis", "-27.59", "-48.55"),
        ],
        first: &[("João", "joao"), ("Luíza", "luiza"), ("Antônio", "antonio"), ("Beatriz", "beatriz")],
        last: &[("Conceição", "conceicao"), ("Souza", "souza"), ("Araújo", "araujo"), ("Lima", "lima")],
        streets: &["Rua das Acácias", "Avenida São João", "Travessa do Comércio"],
    },
    Country {
        weight: 12,
        code: "IN",
        locale: "hi-IN",
        timezone: "Asia/Kolkata",
        cities: &[
            ("मुंबई", "19.08", "72.88"),
            ("Bengaluru", "12.97", "77.59"),
            ("दिल्ली", "28.61", "77.21"),
            ("Pune", "18.52", "73.86"),
        ],
        first: &[("आरव", "aarav"), ("Priya", "priya"), ("दीपिका", "deepika"), ("Rohan", "rohan"), ("Ananya", "ananya")],
        last: &[("शर्मा", "sharma"), ("Iyer", "iyer"), ("Reddy", "reddy"), ("गुप्ता", "gupta"), ("Khan", "khan")],
        streets: &["MG Road", "Linking Road", "गांधी मार्ग"],
    },
    Country {
        weight: 6,
        code: "JP",
        locale: "ja-JP",
        timezone: "Asia/Tokyo",
        cities: &[("東京", "35.68", "139.69"), ("大阪", "34.69", "135.50"), ("札幌", "43.06", "141.35")],
        first: &[("さくら", "sakura"), ("大輔", "daisuke"), ("結衣", "yui"), ("健太", "kenta")],
        last: &[("佐藤", "sato"), ("鈴木", "suzuki"), ("髙橋", "takahashi"), ("渡邊", "watanabe")],
        streets: &["中央通り", "桜木町", "本町"],
    },
    Country {
        weight: 3,
        code: "KR",
        locale: "ko-KR",
        timezone: "Asia/Seoul",
        cities: &[("서울", "37.57", "126.98"), ("부산", "35.18", "129.08")],
        first: &[("지우", "jiwoo"), ("서준", "seojun"), ("하은", "haeun")],
        last: &[("김", "kim"), ("이", "lee"), ("박", "park")],
        streets: &["세종대로", "테헤란로"],
    },
    Country {
        weight: 3,
        code: "UA",
        locale: "uk-UA",
        timezone: "Europe/Kyiv",
        cities: &[("Київ", "50.45", "30.52"), ("Львів", "49.84", "24.03")],
        first: &[("Олена", "olena"), ("Тарас", "taras"), ("Ірина", "iryna")],
        last: &[("Шевченко", "shevchenko"), ("Коваленко", "kovalenko"), ("Лисенко", "lysenko")],
        streets: &["вулиця Хрещатик", "проспект Свободи"],
    },
    Country {
        weight: 2,
        code: "GR",
        locale: "el-GR",
        timezone: "Europe/Athens",
        cities: &[("Αθήνα", "37.98", "23.73"), ("Θεσσαλονίκη", "40.64", "22.94")],
        first: &[("Ελένη", "eleni"), ("Γιώργος", "giorgos")],
        last: &[("Παπαδόπουλος", "papadopoulos"), ("Νικολάου", "nikolaou")],
        streets: &["Ερμού", "Λεωφόρος Νίκης"],
    },
    Country {
        weight: 2,
        code: "IL",
        locale: "he-IL",
        timezone: "Asia/Jerusalem",
        cities: &[("תל אביב", "32.09", "34.78"), ("חיפה", "32.79", "34.99")],
        first: &[("נועה", "noa"), ("איתי", "itai")],
        last: &[("כהן", "cohen"), ("לוי", "levi")],
        streets: &["רחוב הרצל", "שדרות רוטשילד"],
    },
    Country {
        weight: 3,
        code: "EG",
        locale: "ar-EG",
        timezone: "Africa/Cairo",
        cities: &[("القاهرة", "30.04", "31.24"), ("الإسكندرية", "31.20", "29.92")],
        first: &[("محمد", "mohamed"), ("فاطمة", "fatma"), ("يوسف", "youssef")],
        last: &[("حسن", "hassan"), ("السيد", "elsayed"), ("منصور", "mansour")],
        streets: &["شارع التحرير", "شارع النيل"],
    },
    Country {
        weight: 4,
        code: "CN",
        locale: "zh-CN",
        timezone: "Asia/Shanghai",
        cities: &[("上海", "31.23", "121.47"), ("北京", "39.90", "116.41"), ("深圳", "22.54", "114.06")],
        first: &[("伟", "wei"), ("芳", "fang"), ("𠮷", "ji")],
        last: &[("王", "wang"), ("李", "li"), ("张", "zhang")],
        streets: &["南京东路", "人民路"],
    },
    Country {
        weight: 2,
        code: "TH",
        locale: "th-TH",
        timezone: "Asia/Bangkok",
        cities: &[("กรุงเทพฯ", "13.76", "100.50"), ("เชียงใหม่", "18.79", "98.99")],
        first: &[("สมชาย", "somchai"), ("อรุณี", "arunee")],
        last: &[("ใจดี", "jaidee"), ("ศรีสุข", "srisuk")],
        streets: &["ถนนสุขุมวิท", "ถนนสีลม"],
    },
];

/// The country for each percentage point of the profiles.
pub(super) static BY_PERCENT: [u8; 100] = spread_weights();

const fn spread_weights() -> [u8; 100] {
    let mut table = [0; 100];
    let (mut country, mut filled) = (0_u8, 0);
    while (country as usize) < COUNTRIES.len() {
        let mut left = COUNTRIES[country as usize].weight;
        while left > 0 {
            table[filled] = country;
            filled += 1;
            left -= 1;
        }
        country += 1;
    }
    table
}

pub(super) static REFERRERS: [&str; 8] = [
    "https://www.google.com/",
    "https://news.ycombinator.com/item?id=41837782",
    "https://www.linkedin.com/feed/",
    "https://duckduckgo.com/",
    "https://github.com/topics/analytics",
    "https://t.co/x7Gk2LqPzR",
    "https://www.producthunt.com/posts/orbit",
    "https://example.org/partners?ref=newsletter&utm_medium=email",
];
pub(super) static CAMPAIGNS: [(&str, &str, &str); 6] = [
    ("google", "cpc", "brand_search_q3"),
    ("newsletter", "email", "spring_launch_2026"),
    ("linkedin", "paid_social", "ops_leaders_emea"),
    ("partner", "referral", "agency_programme"),
    ("facebook", "paid_social", "retargeting_30d"),
    ("podcast", "audio", "data_talk_ep_112"),
];
pub(super) static TAGS: [&str; 10] = [
    "beta",
    "newsletter",
    "power_user",
    "vip",
    "churn_risk",
    "onboarded",
    "webinar:2026-04",
    "日本語",
    "trial ended",
    "api",
];
pub(crate) static DEVICES: [(&str, &str, &str); 7] = [
    ("mobile", "iPhone 16", "iOS 19.2"),
    ("mobile", "Pixel 9", "Android 16"),
    ("desktop", "MacBook Pro", "macOS 15.5"),
    ("desktop", "ThinkPad X1", "Windows 11"),
    ("tablet", "iPad Air", "iPadOS 19.1"),
    ("mobile", "Galaxy S25", "Android 16"),
    ("desktop", "Framework 13", "Fedora 43"),
];
pub(super) static BIOS: [&str; 5] = [
    "Runs the data team; asked for the \\\"raw\\\" export twice.",
    "Prefers email\\nover calls. Path: C:\\\\Users\\\\shared",
    "Came over from the spreadsheet plan 🚀, imports every Monday.",
    "Évalue l’outil pour trois équipes – décision en octobre.",
    "Two seats, wants SSO & audit log before renewing.",
];
pub(super) static DOMAINS: [&str; 5] =
    ["example.com", "example.org", "mail.example.net", "corp.example.com", "post.example.org"];
pub(super) static INDUSTRIES: [&str; 6] = ["Retail", "Fintech", "Health", "Media", "Logistik & Transport", "教育"];
pub(super) static COMPANIES: [&str; 8] =
    ["Northwind", "Sonnenhof", "Blue Heron", "Kairos", "Trópico", "山田商事", "Óbuda Works", "Larkspur"];
