//! The examples in the long help of every command. A test runs each of them against the simulator.

/// The examples of one command.
type Examples = &'static [(&'static str, &'static str)];

/// The examples of each command, by its path: what the example does, and the command line.
const EXAMPLES: &[(&str, Examples)] = &[
    (
        "",
        &[
            ("Try it without an account", "mp demo --fast"),
            ("Store a service account", "mp auth add"),
            ("Fetch all profiles, five pages at a time", "mp fetch profiles --parallel"),
            ("Query them", "mp query sql 'SELECT count(*) FROM profiles'"),
            ("Fetch the events of the last 7 days", "mp fetch events --from 7d --to today --parallel"),
        ],
    ),
    (
        "auth",
        &[
            ("Store a service account", "mp auth add"),
            ("List the accounts", "mp auth list"),
            ("Check the credentials of the default account", "mp auth test"),
        ],
    ),
    ("auth list", &[("List the accounts as a table", "mp auth list --format table")]),
    (
        "auth add",
        &[
            ("Answer prompts for the name, the credentials and the region", "mp auth add"),
            (
                "In a script, read the secret from a file",
                "mp auth add prod -u exporter.1a2b3c -p 12345 -r eu --secret-stdin <secret.txt",
            ),
        ],
    ),
    (
        "auth edit",
        &[
            ("Answer prompts; an empty answer keeps the present value", "mp auth edit work"),
            ("Change the region", "mp auth edit work --region eu"),
            ("Replace the secret", "mp auth edit work --secret-stdin < secret.txt"),
        ],
    ),
    ("auth remove", &[("Remove an account without a prompt", "mp auth remove work --force")]),
    ("auth switch", &[("Make `work` the default account", "mp auth switch work")]),
    ("auth show", &[("Show the default account", "mp auth show"), ("Show another one", "mp auth show work")]),
    (
        "auth test",
        &[("Check the default account", "mp auth test"), ("Check another project", "mp auth test --project 12345")],
    ),
    (
        "fetch",
        &[
            ("Fetch all profiles, five pages at a time", "mp fetch profiles --parallel"),
            ("Fetch the events of the last 7 days", "mp fetch events --from 7d --to today --parallel"),
            ("List what is unfinished", "mp fetch status"),
        ],
    ),
    (
        "fetch profiles",
        &[
            ("Fetch all profiles, five pages at a time", "mp fetch profiles --parallel"),
            ("Estimate requests, time and disk space first", "mp fetch profiles --plan"),
            (
                "Fetch some profiles and properties",
                "mp fetch profiles pro -w 'properties[\"plan\"] == \"pro\"' -o plan,city",
            ),
            ("Update the table with what changed since the last load", "mp fetch profiles --since last"),
            ("Bring the table up to date from cron", "mp fetch profiles --refresh --parallel --quiet"),
            ("Fetch the profiles in a list of ids", "mp fetch profiles some --distinct-ids @ids.txt"),
            ("Look at a sample before fetching everything", "mp fetch profiles sample --limit 100"),
            ("Replace the table", "mp fetch profiles --replace --parallel"),
            ("Store no names, and e-mail addresses only as hashes", "mp fetch profiles --drop '$name' --hash '$email'"),
            ("Write JSON lines instead of a table", "mp fetch profiles --stdout > profiles.jsonl"),
        ],
    ),
    (
        "fetch events",
        &[
            ("Fetch the events of the last 7 days", "mp fetch events --from 7d --to today --parallel"),
            ("Estimate requests and waits first", "mp fetch events --from 2020-01-01 --to today --parallel --plan"),
            ("Fetch some events of two days", "mp fetch events some --from yesterday --to today -e 'Sign Up,Purchase'"),
            ("Update the table with what may have changed and what is new", "mp fetch events --since last"),
            ("Create a table, and keep it up to date from cron", "mp fetch events --from 9d --refresh --parallel -q"),
            ("Fetch the days of an import again", "mp fetch events --since 14d --parallel"),
            ("Look at a sample before fetching everything", "mp fetch events sample --from 7d --to today --limit 100"),
            ("Write JSON lines instead of a table", "mp fetch events --from 2d --to today --stdout > events.jsonl"),
        ],
    ),
    (
        "fetch resume",
        &[
            ("Resume the only unfinished run", "mp fetch resume"),
            ("Resume the newest run of a table, five pages at a time", "mp fetch resume profiles --parallel"),
        ],
    ),
    ("fetch status", &[("List the unfinished runs as a table", "mp fetch status --format table")]),
    (
        "fetch discard",
        &[
            ("Remove the unfinished runs of a table", "mp fetch discard profiles --force"),
            ("Remove all of them", "mp fetch discard --all --force"),
        ],
    ),
    ("query", &[("Count the profiles", "mp query sql 'SELECT count(*) FROM profiles'")]),
    (
        "query sql",
        &[
            ("Count the profiles", "mp query sql 'SELECT count(*) FROM profiles'"),
            (
                "Print a property of every profile as CSV",
                "mp query sql \"SELECT properties->>'plan' FROM profiles\" --format csv",
            ),
            ("Run a query from a file", "mp query sql --file report.sql --format csv > report.csv"),
            ("Read the query from standard input", "echo 'FROM profiles LIMIT 3' | mp query sql"),
            ("Write the result to a file", "mp query sql 'FROM profiles LIMIT 3' --output sample.parquet"),
            ("Print one field without quotes", "mp query sql 'FROM profiles' --jq '.[].distinct_id'"),
        ],
    ),
    (
        "export",
        &[
            ("Write a table to a Parquet file", "mp export profiles profiles.parquet"),
            ("Compress JSON Lines", "mp export profiles - --to-format jsonl | gzip > profiles.jsonl.gz"),
        ],
    ),
    (
        "inspect",
        &[("List the tables", "mp inspect tables"), ("Show the properties of the profiles", "mp inspect properties")],
    ),
    (
        "inspect tables",
        &[
            ("List the tables of any DuckDB file", "mp inspect tables --db my.db"),
            ("List views and internal tables as well", "mp inspect tables --all"),
        ],
    ),
    (
        "inspect properties",
        &[
            ("Show the properties of the only table", "mp inspect properties"),
            ("Write those of a table to a CSV file", "mp inspect properties profiles --format csv > properties.csv"),
        ],
    ),
    ("inspect schema", &[("Show the columns of a table", "mp inspect schema profiles --format table")]),
    ("inspect sample", &[("Show three rows of a table", "mp inspect sample profiles -n 3")]),
    (
        "inspect breakdown",
        &[
            ("Count the events of the table `events`", "mp inspect breakdown"),
            ("Write them to a CSV file", "mp inspect breakdown events --format csv > events.csv"),
        ],
    ),
    (
        "inspect daily",
        &[
            ("Count all events of each day", "mp inspect daily"),
            ("Count two events of a week", "mp inspect daily --from 2026-03-01 --to 2026-03-07 -e 'Sign Up,Purchase'"),
        ],
    ),
    (
        "inspect engagement",
        &[
            ("Count users by their number of events", "mp inspect engagement"),
            ("Count users by their number of purchases", "mp inspect engagement -e Purchase --buckets 1,2,3,10"),
        ],
    ),
    (
        "inspect coverage",
        &[("Show how often two properties have a value", "mp inspect coverage -e Purchase -p plan,amount")],
    ),
    (
        "inspect distribution",
        &[("Show the five most frequent plans of buyers", "mp inspect distribution -e Purchase -p plan -l 5")],
    ),
    (
        "inspect numeric",
        &[
            ("Summarize the amounts of purchases", "mp inspect numeric -e Purchase -p amount"),
            ("Print the median", "mp inspect numeric -e Purchase -p amount --jq '.percentiles.\"50\"'"),
        ],
    ),
    (
        "inspect top-events",
        &[
            ("Show the most frequent events of the last day", "mp inspect top-events"),
            ("Show the events that most users have", "mp inspect top-events --type unique -l 3"),
        ],
    ),
    (
        "inspect keys",
        &[
            ("List the properties of all events", "mp inspect keys"),
            ("List those of one event, one per line", "mp inspect keys -e Purchase --format plain"),
        ],
    ),
    (
        "inspect column",
        &[
            ("Describe the names of the events", "mp inspect column -c event_name"),
            ("Describe a property", "mp inspect column -c \"prop(properties, 'plan')\" --top 3"),
        ],
    ),
    ("inspect summarize", &[("Describe every column", "mp inspect summarize events --format table")]),
    ("inspect drop", &[("Drop a table without a prompt", "mp inspect drop profiles --force")]),
    ("models", &[("Write a dbt project for the table `events`", "mp models dbt dbt-mixpanel")]),
    (
        "models dbt",
        &[
            ("Write a project for the table `events`", "mp models dbt dbt-mixpanel"),
            ("Replace the files of the project", "mp models dbt dbt-mixpanel --force"),
        ],
    ),
    (
        "verify",
        &[
            ("Check the table `profiles`", "mp verify profiles"),
            ("Compare the days of the table `events` with Mixpanel's counts", "mp verify events --against mixpanel"),
        ],
    ),
    (
        "info",
        &[
            ("Show versions, the account, the database and the quota", "mp info"),
            ("Show them for another project", "mp info --project 12345 --format json"),
        ],
    ),
    (
        "demo",
        &[("Run the demo in a few seconds", "mp demo --fast"), ("Keep its database", "mp demo --fast --keep demo")],
    ),
    (
        "simulate",
        &[
            ("Fetch from a simulator", "mp simulate -- mp fetch profiles --parallel"),
            ("Work with a simulator in a new shell; `exit` stops it", "mp simulate -- sh"),
            ("Serve 2,000 profiles on a free port", "mp simulate --addr localhost:0 --profiles 2000"),
            ("Fail twice on two of the pages", "mp simulate --addr localhost:0 --fault 'pages=3,7 status=500 times=2'"),
        ],
    ),
    (
        "completions",
        &[
            ("Install the completion script for your shell", "mp completions --install"),
            ("Print the script for bash", "mp completions bash"),
        ],
    ),
    ("man", &[("Write all pages into a directory", "mp man man1")]),
];

/// Returns the `Examples:` block of the command with this path, or `None` if it has no examples.
pub(super) fn block(path: &str) -> Option<String> {
    let (_, examples) = EXAMPLES.iter().find(|(command, _)| *command == path)?;
    let header = clap::builder::Styles::styled().get_header().to_owned();
    let mut text = format!("{header}Examples:{header:#}");
    for (what, line) in *examples {
        text.push_str(&format!("\n  # {what}\n  {line}"));
    }
    Some(text)
}
