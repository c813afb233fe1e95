//! What the compiler says about structs that cannot be derived, in full.

#[test]
fn mistakes_are_told_where_they_are_and_say_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/errors/*.rs");
}
