use super::*;
use proptest::prelude::*;

fn shown(source: &str) -> String {
    let mut out = [0; LONGEST];
    let length = without_constants(source.as_bytes(), false, &mut out);
    String::from_utf8_lossy(&out[..length]).into_owned()
}

#[test]
fn constants_of_every_kind_become_parameters() {
    for (source, expected) in [
        (
            "SELECT count(*) FROM big a, big b WHERE a.t < b.t",
            "SELECT count(*) FROM big a, big b WHERE a.t < b.t",
        ),
        ("select pg_sleep(10), 'x''y', t1.c2 from t1", "select pg_sleep($1), $2, t1.c2 from t1"),
        ("SELECT $1, $2, 7", "SELECT $1, $2, $3"),
        (
            r"SELECT E'it\'s' || 'a\' || b'01' || U&'d\0061t' || x 'no'",
            r"SELECT $1 || $2 || $3 || $4 || x $5",
        ),
        ("SELECT $tag$ it's $$ 5 $tag$, $$x$$, a$1", "SELECT $2, $3, a$1"),
        ("SELECT 1.5e-10, .5, 0xFF, 1_000, -3", "SELECT $1, $2, $3, $4, -$5"),
        ("SELECT \"a \"\"1\"\"'\" FROM \"5\"", "SELECT \"a \"\"1\"\"'\" FROM \"5\""),
        ("  SELECT -- password 'x'\n  /* a /* b */ 'c' */ 1  ", "SELECT $1"),
        ("ALTER ROLE app PASSWORD 'secret'", "ALTER ROLE app PASSWORD $1"),
        ("SELECT 'never ended", "SELECT $1"),
        ("SELECT $x$never ended", "SELECT $1"),
        ("SELECT größe2 FROM straße", "SELECT größe2 FROM straße"),
        ("", ""),
    ] {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn a_backslash_escapes_where_the_server_says_so() {
    let mut out = [0; LONGEST];
    let length = without_constants(br"SELECT 'a\', secret, \'' FROM t", true, &mut out);
    assert_eq!(&out[..length], b"SELECT $1 FROM t");
}

#[test]
fn what_does_not_fit_is_cut_off() {
    let mut out = [0; 9];
    assert_eq!(without_constants(b"SELECT 1234 FROM t", false, &mut out), 9);
    assert_eq!(&out, b"SELECT $1");
    assert_eq!(without_constants(b"SELECT 1", false, &mut []), 0);
}

proptest! {
    #[test]
    fn no_literal_shows(words in prop::collection::vec("[a-z ]{0,6}", 0..6), secret in "[A-Z]{4,12}") {
        let quoted = [format!("'{secret}'"), format!("E'\\'{secret}'"), format!("$q${secret}$q$"), format!("/*{secret}*/")];
        for literal in quoted {
            let source: String = words.iter().map(|word| format!("{word} {literal} ")).collect();
            prop_assert!(!shown(&source).contains(&secret), "{}", source);
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200), escapes: bool) {
        let mut out = [0; 64];
        prop_assert!(without_constants(&bytes, escapes, &mut out) <= 64);
    }
}
