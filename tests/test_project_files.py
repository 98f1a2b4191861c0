"""The files that contributors and other programs expect are valid, and say what the package says."""

import os
import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

import mmvice

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md'), *(ROOT / '.github').glob('*.md'), *ROOT.glob('configs/**/*.md')]
)


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding='utf-8'))


def anchors(page):
    """Anchors that GitHub makes of a page's headings."""
    headings = re.findall(r'^#+ (.*)$', page.read_text(encoding='utf-8'), flags=re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    targets = re.findall(r'\]\(([^)\s]+)\)', page.read_text(encoding='utf-8'))
    for target in targets:
        if not target.startswith('https://'):
            path, _, anchor = target.partition('#')
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), f'{page.name} links to {target}'
            assert not anchor or anchor in anchors(linked), f'{page.name} links to {target}'


def test_contributing_names_files_that_exist():
    text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    text = text.partition('## Recipes')[0] + text.partition('### Add a data set')[2]  # the recipes before it make files
    named = re.findall(r'(?:mmvice|configs|tests|tools|docs|examples)/[\w./-]*', text)
    assert len(named) > 10
    for path in named:
        if 'BACKBONE' not in path:
            assert (ROOT / path.rstrip('.')).exists(), path


def test_citation_agrees_with_package_and_metafiles():
    citation = read_yaml('CITATION.cff')
    setup = ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    assert citation['cff-version'] == '1.2.0' and citation['message'] and citation['authors']
    assert (citation['title'], citation['version']) == ('mmvice', mmvice.__version__)
    assert citation['license'] == setup['metadata']['license']
    paper = citation['preferred-citation']
    [collection] = read_yaml('configs/vice/metafile.yml')['Collections']
    assert dict(Title=paper['title'], URL=paper['url']) == collection['Paper']
    surnames = [author['family-names'] for author in paper['authors']]
    assert surnames == ['Karlsson', 'Hayashi', 'Fujii', 'Carballo', 'Ohtani', 'Takeda']


def test_pre_commit_has_the_tested_ruff():
    [repo] = read_yaml('.pre-commit-config.yaml')['repos']
    tested = (ROOT / 'requirements/tested.txt').read_text()
    assert repo['rev'] == 'v' + re.search(r'^ruff==(\S+)$', tested, flags=re.MULTILINE)[1]
    assert [hook['id'] for hook in repo['hooks']] == ['ruff-check', 'ruff-format']


def test_workflow_runs_what_must_pass():
    workflow = read_yaml('.github/workflows/ci.yml')
    [job] = workflow['jobs'].values()
    commands = [step['run'] for step in job['steps'] if 'run' in step]
    assert commands == ['.ci/run'] and os.access(ROOT / '.ci/run', os.X_OK)
    assert set(workflow[True]) == {'push', 'pull_request'}  # YAML reads the key `on` as true


@pytest.mark.parametrize('form', ['bug_report.yml', 'feature_request.yml'])
def test_issue_forms_are_what_github_reads(form):
    content = read_yaml(f'.github/ISSUE_TEMPLATE/{form}')
    assert content['name'] and content['description']
    ids = [field['id'] for field in content['body']]
    assert len(set(ids)) == len(ids)
    for field in content['body']:
        assert field['type'] in ('textarea', 'checkboxes') and field['attributes']['label']
    assert any(field.get('validations', {}).get('required') for field in content['body'])


def test_changelog_begins_with_what_is_not_released():
    text = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    sections = re.findall(r'^## (.*)$', text, flags=re.MULTILINE)
    assert sections[0] == '[Unreleased]'
    kinds = {'Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'}
    assert set(re.findall(r'^### (.*)$', text, flags=re.MULTILINE)) <= kinds


def test_type_checkers_find_the_mark():
    assert (Path(mmvice.__file__).parent / 'py.typed').is_file()
