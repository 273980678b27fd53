"""The Dockerfile of a Bento."""

from resources.images import dockerfile


def test_labels_are_those_of_oci_and_the_coordinates() -> None:
    lines = dockerfile({"use_case": "a", "version": "1-aa", "commit": "c0", "coordinates": '${x} {{ y }} "z"'})

    labels = lines.partition("{% raw %}")[2].partition("{% endraw %}")[0].split(" \\\n      ")
    assert labels == [
        'org.opencontainers.image.title="a"',
        'org.opencontainers.image.version="1-aa"',
        'org.opencontainers.image.revision="c0"',
        'sextant.use_case="a"',
        'sextant.version="1-aa"',
        'sextant.commit="c0"',
        r'sextant.coordinates="\${x} {{ y }} \"z\""',
    ]


def test_what_is_not_known_has_no_label_of_oci() -> None:
    assert "revision" not in dockerfile({"use_case": "a", "version": "1-aa"})
