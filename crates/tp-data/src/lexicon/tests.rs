use std::fs;

use super::*;

fn lexicon(text: &str) -> Result<Lexicon, DataError> {
    let mut sources = Sources::default();
    sources.add(Path::new("mine.toml"), text)?;
    Lexicon::new(sources)
}

fn refused(text: &str) -> String {
    lexicon(text).err().map(|error| error.to_string()).unwrap_or_default()
}

const ANIMALS: &str = r#"
object = [
  { name = "dog", also = ["hound"], understood = ["poodle"], kind = "animal", imagenet = [151, 152] },
  { name = "animal" },
  { name = "sheep", plural = "sheep", also = ["woolly one"], kind = "animal" },
  { name = "tree" },
  { name = "elephant", kind = "animal" },
  { name = "glass", kind = "thing" },
  { name = "glasses", plural = "glasses" },
  { name = "wine" },
  { name = "wine glass", kind = "glass" },
  { name = "orange" },
  { name = "teddy-bear" },
  { name = "thing" },
]
part = [
  { name = "trunk", of = ["tree"], also = ["bole"] },
  { name = "trunk", of = ["elephant"], understood = ["proboscis"] },
  { name = "trunk", also = ["torso"] },
  { name = "leg", of = ["animal"] },
  { name = "middle", also = ["centre"], generic = true },
]
"#;

#[test]
fn words_are_found_in_every_form() {
    let lexicon = lexicon(ANIMALS).unwrap();
    for (word, name) in [
        ("dog", "dog"),
        ("Dogs", "dog"),
        ("hounds", "dog"),
        ("big poodle", "dog"),
        ("teddy bears", "teddy-bear"),
        ("sheep", "sheep"),
        ("glasses", "glasses"),
        ("glass", "glass"),
        ("wine glasses", "wine glass"),
        ("dog of a dancer", "dog"),
    ] {
        assert_eq!(lexicon.object(word).map(|noun| noun.name.as_str()), Some(name), "{word}");
    }
    assert_eq!(lexicon.object("dogma"), None);
    assert_eq!(lexicon.object(""), None);
}

#[test]
fn kinds_lead_upwards_only() {
    let lexicon = lexicon(ANIMALS).unwrap();
    assert!(
        lexicon.is_a("poodles", "animal")
            && lexicon.is_a("wine glass", "thing")
            && lexicon.is_a("hound", "dog")
    );
    assert!(!lexicon.is_a("animal", "dog") && !lexicon.is_a("dog", "thing"));
    // Unknown words are equal only to themselves.
    assert!(lexicon.is_a("Zither", "zither") && !lexicon.is_a("zither", "animal"));
    assert!(
        lexicon.same("hound", "poodle")
            && lexicon.same("grey thing", "gray thing")
            && !lexicon.same("dog", "animal")
    );
}

#[test]
fn the_object_decides_which_part_a_word_means() {
    let lexicon = lexicon(ANIMALS).unwrap();
    let also = |of: Option<&str>| lexicon.part("trunk", of).unwrap().also.clone();
    assert_eq!(also(Some("tree")), ["bole"]);
    assert!(also(Some("elephants")).is_empty());
    assert_eq!(also(Some("sheep")), ["torso"]);
    assert_eq!(also(None), ["torso"]);
    assert!(
        lexicon.same("torso", "trunk")
            && lexicon.same("bole", "trunk")
            && !lexicon.same("bole", "torso")
    );
    assert_eq!(lexicon.part("left leg", Some("dog")).unwrap().name, "leg");
}

#[test]
fn the_longest_name_in_a_text_wins() {
    let lexicon = lexicon(ANIMALS).unwrap();
    let names = |text: &str| {
        lexicon
            .objects_in(text)
            .iter()
            .map(|found| (found.noun.name.clone(), found.words.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("The wine-glass by the dogs."),
        [("wine glass".to_owned(), 1..3), ("dog".to_owned(), 5..6)]
    );
    assert_eq!(
        names("an orange glass, an orange"),
        [("glass".to_owned(), 2..3), ("orange".to_owned(), 4..5)]
    );
    assert!(
        lexicon.names_object("a poodle", &["animal"])
            && !lexicon.names_object("an animal", &["dog"])
    );
    assert!(
        lexicon.names_part("its torso", &["trunk"])
            && !lexicon.names_part("the middle", &["centre"])
    );
}

#[test]
fn names_are_judged_by_whole_words() {
    assert!(
        says("Two red cups.", &["cup"])
            && says("a GREY box", &["gray"])
            && says("his t-shirt", &["T shirt"])
    );
    assert!(says("the benches", &["bench"]) && says("the door handles", &["door handle"]));
    assert!(
        !says("the teacup", &["cup"])
            && !says("a car pet", &["carpet"])
            && !says("", &["cup"])
            && !says("cup", &[""])
    );
}

#[test]
fn every_fault_names_file_entry_and_reason() {
    for (text, message) in [
        (
            r#"object = [{ name = "cup" }, { name = "Cup" }]"#,
            "mine.toml, entry `Cup`: the name is taken by another entry",
        ),
        (
            r#"object = [{ name = "cup", also = ["mug"] }, { name = "pot", understood = ["MUG"] }]"#,
            "entry `pot`: `MUG` belongs to `cup`, too",
        ),
        (r#"object = [{ name = "cup", also = ["cup"] }]"#, "entry `cup`: it says `cup` twice"),
        (
            r#"object = [{ name = "cup", kind = "tableware" }]"#,
            "entry `cup`: its kind `tableware` is the name of no entry",
        ),
        (
            r#"object = [{ name = "x", kind = "a" }, { name = "a", kind = "b" }, { name = "b", kind = "a" }]"#,
            "entry `a`: its kinds lead back to it: a → b → a",
        ),
        (r#"object = [{ name = "cup", kind = "cup" }]"#, "its kinds lead back to it: cup → cup"),
        (
            r#"object = [{ name = "cup", imagenet = [1000] }]"#,
            "entry `cup`: there is no class 1000; accepted are 0 to 999",
        ),
        (
            r#"object = [{ name = "cup", imagenet = [7] }, { name = "mug", imagenet = [7] }]"#,
            "entry `mug`: class 7 belongs to `cup`, too",
        ),
        (r#"object = [{ name = "-" }]"#, "a word of it is empty"),
        (
            r#"part = [{ name = "lid", of = ["pot"] }]"#,
            "entry `lid`: `pot`, which it is a part of, is the name of no object",
        ),
        (
            r#"part = [{ name = "lid" }, { name = "cap", also = ["lid"] }]"#,
            "entry `cap`: `lid` belongs to the part `lid` of the same things, too",
        ),
        ("object = [\n{ name = \"cup\", colour = \"red\" }]", "mine.toml: line 2: "),
        ("object = 7", "mine.toml: line 1: "),
    ] {
        let refused = refused(text);
        assert!(refused.contains(message) && !refused.contains('\n'), "{text}: {refused}");
    }
}

#[test]
fn a_file_extends_or_replaces_what_ships() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(&path, r#"object = [{ name = "zorb ball", also = ["zorb"] }]"#).unwrap();
    assert_eq!(Lexicon::read(&[&path]).unwrap().objects().len(), 1);
    let both = Lexicon::shipped_and(&[&path]).unwrap();
    assert!(both.object("zorbs").is_some() && both.object("cup").is_some());
    let missing = Lexicon::read(&[folder.path().join("none.toml")]).unwrap_err().to_string();
    assert!(missing.contains("none.toml"), "{missing}");
}

#[test]
fn what_ships_is_broad_and_maps_every_class() {
    let lexicon = Lexicon::shipped();
    assert!(lexicon.objects().len() >= 900 && lexicon.parts().len() >= 450);
    assert!((0..N_CLASSES).all(|class| lexicon.object_of_class(class).is_some()));
    assert_eq!(lexicon.object_of_class(N_CLASSES), None);
    // Spot checks against the published list of class names.
    for (class, name) in [
        (0, "fish"),
        (151, "dog"),
        (268, "dog"),
        (281, "cat"),
        (339, "horse"),
        (504, "cup"),
        (779, "bus"),
        (874, "bus"),
        (954, "banana"),
        (999, "toilet paper"),
    ] {
        assert_eq!(lexicon.object_of_class(class).unwrap().name, name);
    }
    assert!(
        lexicon.is_a("poodle", "animal")
            && lexicon.is_a("sedan", "vehicle")
            && lexicon.is_a("fridge", "appliance")
    );
    for (a, b) in [
        ("tyre", "tire"),
        ("couch", "sofa"),
        ("mug", "cup"),
        ("bike", "bicycle"),
        ("trousers", "pants"),
        ("aubergine", "eggplant"),
    ] {
        assert!(lexicon.same(a, b), "{a} {b}");
    }
}
