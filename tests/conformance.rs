//! `docs/conformance` and the tests say the same: what an item promises is proven by a test named after it, or the item is
//! marked. With `CONFORMANCE_BLESS=1` the marks are rewritten to what the tests say, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fmt, fs};

use pretty_assertions::assert_eq;
use regex::Regex;

const INDEX: &str = "docs/conformance.md";
const PAGES: &str = "docs/conformance";
const NOT_YET: &str = "_(not yet)_ ";
/// The examples in this file are of groups that do not exist, and prove nothing.
const THIS_FILE: &str = "tests/conformance.rs";

static HEADING: LazyLock<Regex> = LazyLock::new(|| regex(r"^## ([A-Z]+): \S"));
static ITEM: LazyLock<Regex> = LazyLock::new(|| regex(r"^- \*\*([A-Z]+)-(\d\d)\*\* (_\(not yet\)_ )?([^_].{14,})$"));
static MARKABLE: LazyLock<Regex> = LazyLock::new(|| regex(r"^- \*\*([A-Z]+)-(\d\d)\*\* "));
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| regex(r"\b([A-Z]+)-(\d\d)\b"));
/// A function with the lines of attributes and comments right above it.
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?m)((?:^[ \t]*(?:#\[.*\]|//.*)[ \t]*\n)+)[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?(?:async[ \t]+)?fn[ \t]+([a-z0-9_]+)",
    )
});
static TEST: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[ \t]*#\[(?:\w+::)*test(?:\(.*\))?\]"));
static IGNORED: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[ \t]*#\[ignore\b"));

#[test]
fn docs_and_tests_name_the_same_items() {
    let pages = pages();
    let tests = tests();
    let (conformance, mut faults) = Conformance::read(&pages);
    if env::var_os("CONFORMANCE_BLESS").is_some() {
        let named = tests.iter().flat_map(|test| conformance.ids_in(&test.name)).collect();
        for page in &pages {
            write(&page.path, &page.text, &with_marks(&page.text, &named));
        }
        let (blessed, blessed_faults) = Conformance::read(&self::pages());
        faults = blessed_faults;
        faults.extend(blessed.compare(&tests));
    } else {
        faults.extend(conformance.compare(&tests));
    }
    faults.extend(conformance.dangling(&pages));
    faults.extend(missing_in_index(&pages));
    assert!(
        faults.is_empty(),
        "{} things differ between {PAGES} and the tests:\n  {}\nWhere only marks are wrong, this corrects them:\n  \
         CONFORMANCE_BLESS=1 cargo test --test conformance",
        faults.len(),
        faults.join("\n  "),
    );
}

#[test]
fn names_begin_with_the_ids_they_prove() {
    let (conformance, faults) = Conformance::read(&[page(
        "## AA: x\n- **AA-24** fifteen characters\n## BB: x\n- **BB-27** fifteen characters\n",
    )]);
    assert_eq!(faults, [""; 0]);
    let cases: [(&str, &[&str]); 9] = [
        ("aa_24_the_backend_goes_first", &["AA-24"]),
        ("aa_24", &["AA-24"]),
        ("aa_19_20_two_of_a_group", &["AA-19", "AA-20"]),
        ("bb_27_aa_25_26_across_groups", &["BB-27", "AA-25", "AA-26"]),
        ("aa_24_after_25_then_one", &["AA-24"]),
        ("aa_24_bb_is_a_word_here", &["AA-24"]),
        ("the_words_of_aa_24", &[]),
        ("aa_3_is_no_id", &[]),
        ("ip_24_is_no_group", &[]),
    ];
    for (name, expected) in cases {
        let ids: Vec<String> = conformance.ids_in(name).iter().map(ToString::to_string).collect();
        assert_eq!(ids, expected, "{name}");
    }
}

#[test]
fn a_test_is_a_function_with_the_attribute_that_is_not_ignored() {
    let source = "/// Says.\n#[test]\n#[should_panic]\nfn aa_01_a() {}\n\nfn aa_02_b() {}\n#[must_use]\nfn aa_03_c() {}\n    \
                  #[tokio::test(flavor = \"x\")]\n    // Why.\n    pub(crate) async fn aa_04_d() {}\n#[test]\n#[ignore = \"x\"]\nfn aa_05_e() {}\n\
                  #[cfg(test)]\nmod tests {\n    #[test]\n    fn aa_06_f() {}\n}\n";
    let found: Vec<_> = tests_in(Path::new("a.rs"), source).into_iter().map(|test| (test.line, test.name)).collect();
    assert_eq!(found, [(4, "aa_01_a".to_owned()), (11, "aa_04_d".to_owned()), (18, "aa_06_f".to_owned())]);
}

#[test]
fn every_difference_is_told_with_its_place() {
    let text = "## AA: x\n- **AA-01** is proven by a test\n- **AA-02** is proven by nothing\n- **AA-04** _(not yet)_ proven nevertheless\n\
                - **AA-04** comes twice by mistake\n- **AA-03** is too late by one\n- **BB-01** is of another group\n- AA-05 has no form\n\
                ## AA: again\n";
    let (conformance, mut faults) = Conformance::read(&[page(text)]);
    let source = "#[test]\nfn aa_01_a() {}\n#[test]\nfn aa_04_99_b() {}\n#[test]\nfn aa_03_c() {}\n";
    faults.extend(conformance.compare(&tests_in(Path::new("src/a.rs"), source)));
    assert_eq!(
        faults,
        [
            "docs/page.md:5: AA-04 does not come after AA-04",
            "docs/page.md:6: AA-03 does not come after AA-04",
            "docs/page.md:7: BB-01 stands under AA",
            "docs/page.md:8: not of the form \"- **LB-24** text\" or \"- **LB-24** _(not yet)_ text\", on one line",
            "docs/page.md:9: AA has a heading already",
            "src/a.rs:4: aa_04_99_b names AA-04, which docs/page.md:4 marks as not yet proven",
            "src/a.rs:4: aa_04_99_b names AA-99, which docs/conformance does not have",
            "docs/page.md:3: AA-02 is not marked as not yet proven, and no test is named after it",
            "docs/page.md:7: BB-01 is not marked as not yet proven, and no test is named after it",
        ]
    );
}

#[test]
fn blessing_rewrites_marks_alone() {
    let text = "# Title\n\n- **AA-01** _(not yet)_ one\n- **AA-02** two, _(not yet)_ in words\n- **AA-03** three";
    let named = BTreeSet::from([Id { group: "AA".into(), number: 1 }, Id { group: "AA".into(), number: 3 }]);
    let blessed = "# Title\n\n- **AA-01** one\n- **AA-02** _(not yet)_ two, _(not yet)_ in words\n- **AA-03** three";
    assert_eq!(with_marks(text, &named), blessed);
    assert_eq!(with_marks(blessed, &named), blessed, "twice");
}

/// What an item is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    group: String,
    number: u8,
}

/// One promise.
#[derive(Debug)]
struct Item {
    place: String,
    not_yet: bool,
}

/// The pages, read.
#[derive(Debug, Default)]
struct Conformance {
    /// By name in lower case, as tests write it.
    groups: BTreeMap<String, String>,
    items: BTreeMap<Id, Item>,
}

struct Page {
    path: PathBuf,
    text: String,
}

struct Test {
    path: PathBuf,
    line: usize,
    name: String,
}

impl Conformance {
    /// What can be read, and what is wrong with the rest.
    fn read(pages: &[Page]) -> (Self, Vec<String>) {
        let mut conformance = Self::default();
        let mut faults = Vec::new();
        for page in pages {
            let mut group = String::new();
            let mut last: Option<Id> = None;
            for (index, line) in page.text.lines().enumerate() {
                let place = format!("{}:{}", page.path.display(), index + 1);
                if let Some(heading) = HEADING.captures(line) {
                    (group, last) = (heading[1].to_owned(), None);
                    if conformance.groups.insert(group.to_lowercase(), group.clone()).is_some() {
                        faults.push(format!("{place}: {group} has a heading already"));
                    }
                } else if let Some(found) = ITEM.captures(line) {
                    let id = Id::captured(&found[1], &found[2]);
                    if id.group != group {
                        faults.push(format!("{place}: {id} stands under {group}"));
                    } else if let Some(last) = last.as_ref().filter(|last| **last >= id) {
                        faults.push(format!("{place}: {id} does not come after {last}"));
                    } else {
                        last = Some(id.clone());
                    }
                    let item = Item { place, not_yet: found.get(3).is_some() };
                    conformance.items.entry(id).or_insert(item);
                } else if line.starts_with('-') {
                    faults.push(format!(
                        "{place}: not of the form \"- **LB-24** text\" or \"- **LB-24** {NOT_YET}text\", on one line"
                    ));
                }
            }
        }
        (conformance, faults)
    }

    /// The ids that the name of a test begins with, whether there are such items or not.
    fn ids_in(&self, name: &str) -> Vec<Id> {
        let mut ids = Vec::new();
        let mut group: Option<&String> = None;
        let mut words = name.split('_').peekable();
        while let Some(word) = words.next() {
            if let (Some(group), Some(number)) = (group, number(word)) {
                ids.push(Id { group: group.clone(), number });
            } else if self.groups.contains_key(word) && words.peek().is_some_and(|next| number(next).is_some()) {
                group = self.groups.get(word);
            } else {
                break;
            }
        }
        ids
    }

    /// Where the tests and the items do not say the same.
    fn compare(&self, tests: &[Test]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut named = BTreeSet::new();
        for test in tests {
            let place = format!("{}:{}", test.path.display(), test.line);
            for id in self.ids_in(&test.name) {
                match self.items.get(&id) {
                    None => faults.push(format!("{place}: {} names {id}, which {PAGES} does not have", test.name)),
                    Some(item) if item.not_yet => {
                        let item = &item.place;
                        faults.push(format!("{place}: {} names {id}, which {item} marks as not yet proven", test.name));
                    }
                    Some(_) => {}
                }
                named.insert(id);
            }
        }
        faults.extend(self.items.iter().filter(|(id, item)| !item.not_yet && !named.contains(*id)).map(
            |(id, item)| format!("{}: {id} is not marked as not yet proven, and no test is named after it", item.place),
        ));
        faults
    }

    /// Ids in the text that no item has.
    fn dangling(&self, pages: &[Page]) -> Vec<String> {
        let index = Page { path: INDEX.into(), text: read(Path::new(INDEX)) };
        let mut faults = Vec::new();
        for page in pages.iter().chain([&index]) {
            for (number, line) in page.text.lines().enumerate() {
                let ids = REFERENCE.captures_iter(line).map(|found| Id::captured(&found[1], &found[2]));
                let unknown =
                    ids.filter(|id| self.groups.values().any(|g| *g == id.group) && !self.items.contains_key(id));
                faults.extend(unknown.map(|id| format!("{}:{}: there is no {id}", page.path.display(), number + 1)));
            }
        }
        faults
    }
}

impl Id {
    fn captured(group: &str, digits: &str) -> Self {
        Self { group: group.to_owned(), number: number(digits).expect("the pattern takes two digits") }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.group, self.number)
    }
}

/// The text with a mark on exactly the items that no test names.
fn with_marks(text: &str, named: &BTreeSet<Id>) -> String {
    let marked = text.split('\n').map(|line| {
        let Some(found) = MARKABLE.captures(line) else { return line.to_owned() };
        let (start, rest) = line.split_at(found[0].len());
        let rest = rest.strip_prefix(NOT_YET).unwrap_or(rest);
        let mark = if named.contains(&Id::captured(&found[1], &found[2])) { "" } else { NOT_YET };
        format!("{start}{mark}{rest}")
    });
    marked.collect::<Vec<_>>().join("\n")
}

fn missing_in_index(pages: &[Page]) -> Vec<String> {
    let index = read(Path::new(INDEX));
    let linked = |page: &&Page| {
        let name = page.path.file_name().expect("pages are files").to_string_lossy();
        index.contains(&format!("](conformance/{name})"))
    };
    pages
        .iter()
        .filter(|page| !linked(page))
        .map(|page| format!("{INDEX}: no link to {}", page.path.display()))
        .collect()
}

fn tests_in(path: &Path, source: &str) -> Vec<Test> {
    let functions = FUNCTION.captures_iter(source);
    let tests = functions.filter(|found| TEST.is_match(&found[1]) && !IGNORED.is_match(&found[1]));
    let line = |name: Range<usize>| source[..name.start].lines().count();
    tests
        .map(|found| {
            let name = found.get(2).expect("the pattern has two groups");
            Test { path: path.to_owned(), line: line(name.range()), name: name.as_str().to_owned() }
        })
        .collect()
}

fn tests() -> Vec<Test> {
    let files = ["src", "tests"].into_iter().flat_map(|root| files(Path::new(root), "rs"));
    let others = files.filter(|path| path != Path::new(THIS_FILE));
    others.flat_map(|path| tests_in(&path, &read(&path))).collect()
}

fn pages() -> Vec<Page> {
    files(Path::new(PAGES), "md").into_iter().map(|path| Page { text: read(&path), path }).collect()
}

/// A page that is in no file.
fn page(text: &str) -> Page {
    Page { path: "docs/page.md".into(), text: text.to_owned() }
}

/// Files below a folder of the project, sorted, by paths that begin with that folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the project has these folders");
    let mut paths: Vec<PathBuf> = entries.map(|entry| folder.join(entry.expect("an entry").file_name())).collect();
    paths.sort();
    let (folders, files_here): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| root().join(path).is_dir());
    let here = files_here.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension));
    here.chain(folders.iter().flat_map(|folder| files(folder, extension))).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).map_err(|error| (path, error)).expect("the project's files are text")
}

fn write(path: &Path, before: &str, after: &str) {
    if before != after {
        fs::write(root().join(path), after).expect("the pages can be written");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn number(word: &str) -> Option<u8> {
    let is_number = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| word.parse().ok()).flatten()
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}
