//! Canonical forms that the standard's text decides (Canonical XML 1.1, 2.3 and 3), on documents that are no
//! manifests.

use crate::nvidia::manifest::canonical::canonical;
use crate::nvidia::manifest::xml::read;

fn form(text: &str) -> String {
    let document = read(text).unwrap();
    canonical(document.root_element(), None).unwrap()
}

#[test]
fn namespaces_and_attributes_have_an_order() {
    let cases = [
        // Declarations by prefix, the default one first; then attributes by namespace, then name.
        (
            "<e xmlns:b='urn:1' xmlns:a='urn:2' xmlns='urn:0' z='1' a:m='2' b:n='3' y='4'/>",
            "<e xmlns=\"urn:0\" xmlns:a=\"urn:2\" xmlns:b=\"urn:1\" y=\"4\" z=\"1\" b:n=\"3\" a:m=\"2\"></e>",
        ),
        // What is declared above is not declared again; what is changed is, and what is unused stays.
        (
            "<a:e xmlns:a='u' xmlns:b='u'><a:e xmlns:a='u' xmlns:b='v'><a:e xmlns:b='v'/></a:e></a:e>",
            "<a:e xmlns:a=\"u\" xmlns:b=\"u\"><a:e xmlns:b=\"v\"><a:e></a:e></a:e></a:e>",
        ),
        // Two prefixes of one namespace: each name keeps its own.
        (
            "<a:e xmlns:a='u' xmlns:b='u'><b:f a:x='1'/></a:e>",
            "<a:e xmlns:a=\"u\" xmlns:b=\"u\"><b:f a:x=\"1\"></b:f></a:e>",
        ),
        // A prefix that is also a local name.
        ("<a xmlns:a='u'><a:a a:a='1' a='2'/></a>", "<a xmlns:a=\"u\"><a:a a=\"2\" a:a=\"1\"></a:a></a>"),
        ("<e  b = '1'\n\ta=\"2\" ></e >\n", "<e a=\"2\" b=\"1\"></e>"),
    ];
    for (text, wanted) in cases {
        assert_eq!(form(text), wanted, "{text}");
    }
}

#[test]
fn characters_have_one_form() {
    let cases = [
        ("<e>a\r\nb\rc\n</e>", "<e>a\nb\nc\n</e>"),
        ("<e>&#13;&#xA;&#x9;</e>", "<e>&#xD;\n\t</e>"),
        ("<e>&#13;\n</e>", "<e>&#xD;\n</e>"),
        ("<e>&lt;&gt;&amp;&quot;&apos;\"'></e>", "<e>&lt;&gt;&amp;\"'\"'&gt;</e>"),
        ("<e a='&lt;>&gt;&amp;&quot;\"&apos;'/>", "<e a=\"&lt;>>&amp;&quot;&quot;'\"></e>"),
        ("<e a='x\r\ny\nz\tw\rv'/>", "<e a=\"x y z w v\"></e>"),
        ("<e a='&#13;&#10;&#9;&#x20;'/>", "<e a=\"&#xD;&#xA;&#x9; \"></e>"),
        ("<e>é&#233;\u{1F512}</e>", "<e>éé\u{1F512}</e>"),
        ("\u{FEFF}<?xml version='1.0' encoding='utf-8'?>\n<e/>\n", "<e></e>"),
    ];
    for (text, wanted) in cases {
        assert_eq!(form(text), wanted, "{text:?}");
    }
}

#[test]
fn an_apex_declares_what_it_inherits() {
    let document = read("<a xmlns='u' xmlns:p='v' x='1'><b xmlns:q='w'><c p:y='2'/></b></a>").unwrap();
    let inner = document.descendants().find(|node| node.has_tag_name(("u", "c"))).unwrap();
    let wanted = "<c xmlns=\"u\" xmlns:p=\"v\" xmlns:q=\"w\" p:y=\"2\"></c>";
    assert_eq!(canonical(inner, None).unwrap(), wanted);
}

#[test]
fn what_is_left_out_leaves_the_text_around_it() {
    let document = read("<a> 1 <b>2</b> 3 <b>4</b></a>").unwrap();
    let without = document.root_element().first_element_child();
    assert_eq!(canonical(document.root_element(), without).unwrap(), "<a> 1  3 <b>4</b></a>");
}

#[test]
fn what_has_no_sure_form_is_refused() {
    let deep = format!("{}{}", "<e>".repeat(17), "</e>".repeat(17));
    let cases = [
        "<a xmlns='u'><b xmlns=''/></a>",
        "<a xmlns:p='u'><b xmlns:p=''/></a>",
        "<a xmlns='u' xmlns='v'/>",
        "<a xmlns='u' xmlns='u'/>",
        "<:a/>",
        "<a :b='1'/>",
        "<a xml:lang='en'/>",
        "<a xml:base='u'/>",
        deep.as_str(),
    ];
    for text in cases {
        let refused = read(text).and_then(|document| canonical(document.root_element(), None)).is_err();
        assert!(refused, "{text}");
    }
}

#[test]
fn texts_that_readers_disagree_about_are_no_trees() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let cases = [
        "<!DOCTYPE e><e/>".to_owned(),
        "<!DOCTYPE e [<!ENTITY x 'y'>]><e>&x;</e>".to_owned(),
        "<e><!-- --></e>".to_owned(),
        "<!-- --><e/>".to_owned(),
        "<e/><!-- -->".to_owned(),
        "<e><![CDATA[x]]></e>".to_owned(),
        "<e><?x y?></e>".to_owned(),
        "<?x y?><e/>".to_owned(),
        "<?xml version='1.1'?><e/>".to_owned(),
        "<?xml version='1.0' encoding='latin1'?><e/>".to_owned(),
        " <?xml version='1.0'?><e/>".to_owned(),
        "<e p:xmlns='u' xmlns:p='v'/>".to_owned(),
        "<e :xmlns='u'/>".to_owned(),
        "<e>&unknown;</e>".to_owned(),
        "<e>&#0;</e>".to_owned(),
        "<e>\u{1}</e>".to_owned(),
        "<e>]]></e>".to_owned(),
        "<e a='<'/>".to_owned(),
        "<e a='1' a='2'/>".to_owned(),
        "<e xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>".to_owned(),
        "<p:e/>".to_owned(),
        "<e/><e/>".to_owned(),
        "<e>".to_owned(),
        "<e></f>".to_owned(),
        "".to_owned(),
        format!("<e {}/>", many(33, &|n| format!(" a{n}='1'"))),
        format!("<e>{}</e>", many(17, &|n| format!("<e xmlns:a{n}='u'/>"))),
        format!("<e>{}</e>", "<e/>".repeat(1024)),
        format!("<e>{}</e>", "<e></e>".repeat(1024)),
        format!("<e>{}</e>", "<e a='1' b='2' c='3' d='4'/>".repeat(513)),
        format!("<e>{}</e>", " ".repeat(128 << 10)),
    ];
    for text in cases {
        assert!(read(&text).is_err(), "{}", text.chars().take(80).collect::<String>());
    }
}
