"""Each page for visitors in each language: nothing of it is in another one."""

import pytest
from django.test import Client

from tests.support.one_language import LETTERS, texts_of, words_of_another

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seeded")]

NONSENSE = "rows=gold:916:10gram,copper,gold:916:stone,a:b:c:d"
PAGES = [
    "/",
    f"/?{NONSENSE}",
    "/gold/",
    "/silver/?unit=stone&purity=916&range=2D&at=2026-09-26",
    "/gold/?at=2999-01-01",
    f"/embed/?{NONSENSE}",
    f"/screen/?{NONSENSE}",
]


@pytest.mark.parametrize("language", LETTERS)
@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_in_one_language(client: Client, address: str, language: str) -> None:
    joined = "&" if "?" in address else "?"
    answer = client.get(f"{address}{joined}lang={language}")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert f'<html lang="{language}"' in page
    assert words_of_another(page, language) == []
    assert "Swarna" in " ".join(texts_of(page))
    assert f'<link rel="modulepreload" href="/static/client/words/{language}.js">' in page


@pytest.mark.parametrize("path", ["/", "/gold/", "/embed/", "/screen/"])
def test_a_language_that_is_none_is_named_as_text(client: Client, path: str) -> None:
    answer = client.get(path, {"lang": "<b>klingon</b>"}, headers={"accept-language": "gu"})
    page = answer.content.decode()
    assert (answer.status_code, '<html lang="gu"' in page, "&lt;b&gt;klingon&lt;/b&gt;" in page) == (200, True, True)
    assert "klingon" not in client.get(path, {"lang": "hi-IN"}).content.decode()


@pytest.mark.parametrize("path", ["/", "/gold/", "/embed/", "/screen/", "/developers/widgets/"])
def test_an_address_of_more_fields_than_django_takes_is_answered(client: Client, path: str) -> None:
    answer = client.get(f"{path}?lang=gu&{'a&' * 2000}lang=hi")
    assert (answer.status_code, '<html lang="hi"' in answer.content.decode()) == (200, False)


def test_a_word_of_another_language_is_found_wherever_it_is_read() -> None:
    page = (
        '<html lang="hi"><meta name="description" content="one"><meta name="viewport" content="none">'
        '<p title="two">सोना three <br> Swarna “none” from=none</p><svg><path d="none"/></svg>'
        '<span lang="en">none</span><script>none</script><p>four'
    )
    assert words_of_another(page, "hi") == ["one", "two", "three", "four"]
    assert words_of_another("<p>सन", "ta") == ["सन"]
