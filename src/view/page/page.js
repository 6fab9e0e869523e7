'use strict';
// Everything that is shown comes from a dataset or a model. It is put into the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const main = byId('conversation');
const form = byId('filter');
const LOOK_MS = 2000;
const PART = 50;

const state = { items: [], next: null, shown: null, item: null, pair: null, pairs: null, judging: false, measured: 0, isCovered: false, generation: 0, counted: 0, listed: 0, busy: false };
const sees = { differences: true, attempts: true, origins: true };

function make(name, properties, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'class') node.className = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

async function ask(address) {
  const reply = await fetch(address, { headers: { accept: 'application/json' } });
  if (!reply.ok) throw new Error((await reply.text()).trim() || `the page was refused: ${reply.status}`);
  return reply.json();
}

/** Sends JSON; the answer is the caller's to look at. */
const send = (address, body) => fetch(address, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

const number = (count) => Number(count).toLocaleString('en-US');
const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? '' : 's'}`;

function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) { count /= 1000; at += 1; }
  return `${at && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

// --- the filter, which is the address of the page

function filters() {
  const filters = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== '') filters.append(name, value);
  return filters;
}

function fillForm(search) {
  const wanted = new URLSearchParams(search);
  for (const field of form.elements) {
    if (!field.name) continue;
    const value = wanted.get(field.name) || '';
    if (field.tagName === 'SELECT' && value && ![...field.options].some((option) => option.value === value)) {
      field.append(make('option', { value }, value));
    }
    field.value = value;
  }
  tellFilters();
}

function tellFilters() {
  const set = [...filters().keys()].filter((name) => name !== 'text' && name !== 'in').length;
  byId('filters-set').textContent = set ? `(${set} set)` : '';
  for (const kind of ['ids', 'jsonl']) {
    const address = filters();
    address.append('as', kind);
    byId(`save-${kind}`).href = `/api/save?${address}`;
  }
}

const suffix = () => { const text = filters().toString(); return text ? `?${text}` : ''; };

// --- the list

let listing = 0;
async function showList(keepPart) {
  const turn = ++listing;
  const wanted = filters();
  wanted.append('limit', String(keepPart ? Math.max(PART, Math.min(200, state.items.length)) : PART));
  try {
    const part = await ask(`/api/list?${wanted}`);
    if (turn !== listing) return;
    state.items = part.items;
    state.next = part.next;
    fill(byId('list'), part.items.map(listRow));
    tellTotal(part.total);
    markChosen();
  } catch (error) {
    if (turn === listing) byId('total').textContent = String(error.message);
  }
}

async function showFurther() {
  if (state.next === null || state.busy) return;
  state.busy = true;
  const wanted = filters();
  wanted.append('from', String(state.next));
  wanted.append('limit', String(PART));
  try {
    const part = await ask(`/api/list?${wanted}`);
    state.items.push(...part.items);
    state.next = part.next;
    byId('list').append(...part.items.map(listRow));
    tellTotal(part.total);
    markChosen();
  } finally {
    state.busy = false;
  }
}

function tellTotal(total) {
  byId('total').textContent = total ? counted(total, 'conversation') : 'No conversation passes the filter.';
  byId('further').hidden = state.next === null;
}

function listRow(row) {
  const turns = row.status === null ? '' : `${row.answered}/${row.turns}`;
  const tags = [
    row.reason && make('span', { class: `tag ${row.status}` }, row.reason),
    ...row.rules.filter((rule) => rule !== row.reason).map((rule) => make('span', { class: 'tag rejected' }, `rejected: ${rule}`)),
    ...row.flags.map((flag) => make('span', { class: 'tag' }, flag)),
    row.score !== null && make('span', { class: 'tag' }, `score ${Number(row.score).toFixed(2)}`),
    row.is_without_row && make('span', { class: 'tag' }, 'no row'),
    row.unavailable && !row.is_without_row && make('span', { class: 'tag rejected' }, 'row unavailable'),
  ];
  const link = make('a', { href: `/c/${row.item}${suffix()}`, 'data-item': row.item, onclick: follow },
    make('div', { class: 'row-head' },
      make('span', { class: 'id' }, row.id || `row ${row.item + 1}`),
      make('span', { class: 'quiet' }, turns),
      make('span', { class: row.status || 'quiet' }, row.status || 'not read yet')),
    make('div', { class: 'row-text', lang: row.language || null }, row.opening),
    make('div', { class: 'tags' }, tags));
  return make('li', {}, link);
}

function fill(node, children) {
  node.replaceChildren(...children);
}

function markChosen() {
  for (const link of byId('list').querySelectorAll('a')) {
    if (Number(link.dataset.item) === state.item) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
}

// --- how far the run is, by what is stored

const RATE_MS = 60000;
const seen = [];

async function showProgress() {
  // While a run is at work its own numbers stand above.
  if (!state.isStore || ofRun.isAtWork) { fill(byId('progress'), []); return; }
  const counts = await ask('/api/counts');
  if (counts.turns === 0) { fill(byId('progress'), []); return; }
  const now = Date.now();
  seen.push([now, counts.answered]);
  while (seen.length > 2 && now - seen[0][0] > RATE_MS) seen.shift();
  const [since, before] = seen[0];
  const rate = now > since ? (counts.answered - before) / ((now - since) / 1000) : 0;
  const open = counts.status.open || 0;
  const words = ['complete', 'open', 'stopped', 'failed'].filter((name) => counts.status[name])
    .map((name) => make('span', { class: name }, `${number(counts.status[name])} ${name}`));
  const left = rate > 0 && open > 0 && state.isCovered ? (counts.turns - counts.answered) / rate : null;
  fill(byId('progress'), [
    make('progress', { max: counts.turns, value: counts.answered, 'aria-label': 'answered turns' }),
    make('span', {}, `${number(counts.answered)} of ${counted(counts.turns, 'turn')} answered`),
    ...words,
    rate > 0 && state.isCovered && make('span', { class: 'quiet' }, `${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} turns a second`),
    left !== null && make('span', { class: 'quiet' }, `about ${duration(left)} left`),
  ].filter(Boolean));
}

function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

async function fillChoices() {
  const counts = await ask('/api/counts');
  for (const select of form.querySelectorAll('select[data-counts]')) {
    const chosen = select.value;
    const names = Object.entries(counts[select.dataset.counts]).sort((one, other) => other[1] - one[1]);
    if (chosen && !names.some(([name]) => name === chosen)) names.push([chosen, 0]);
    fill(select, [make('option', { value: '' }, 'any'),
      ...names.map(([name, count]) => make('option', { value: name }, `${name} (${number(count)})`))]);
    select.value = chosen;
  }
}

// --- a conversation

async function showItem(item, isSame) {
  state.item = item;
  markChosen();
  try {
    const shown = await ask(`/api/item/${item}`);
    if (state.item !== item) return;
    const text = JSON.stringify(shown);
    if (isSame && text === state.shownText) return;
    state.shown = shown;
    state.shownText = text;
    const top = main.scrollTop;
    fill(main, conversation(shown));
    main.scrollTop = isSame ? top : 0;
    if (!isSame) window.scrollTo(0, 0);
    document.title = `${shown.id} · cohobate`;
  } catch (error) {
    fill(main, [make('p', { class: 'empty' }, String(error.message))]);
  }
}

function conversation(shown) {
  const { status } = shown;
  const at = status.turn ? ` at turn ${status.turn}` : '';
  const why = status.reason && status.name !== 'none' ? `: ${status.reason}` : '';
  return [
    make('h1', {}, shown.id),
    make('p', { class: 'facts' },
      make('span', { class: status.name }, `${status.name === 'none' ? 'no conversation' : status.name}${at}${why}`),
      shown.place ? ` · ${shown.place[0]}:${shown.place[1]}` : '',
      shown.key ? ` · key ${shown.key.slice(0, 12)}` : ''),
    shown.facts.map(([name, value]) => make('p', { class: 'facts' }, `${name}: ${value}`)),
    shown.unavailable && make('p', { class: 'caution' }, `The row is unavailable: ${shown.unavailable}`),
    make('div', { class: 'tools' },
      make('button', { id: 'back', type: 'button', onclick: back }, 'List'),
      toggle('differences', 'Differences'), toggle('attempts', 'Rejected attempts'), toggle('origins', 'Provenance')),
    shown.turns.map(turnOf),
    shown.notes.map((note) => noteOf(note, 'whole conversation')),
    Object.keys(shown.columns).length > 0 && make('details', {}, make('summary', {}, 'Other columns of the row'),
      make('div', { class: 'fields-json' }, JSON.stringify(shown.columns, null, 2))),
  ].filter(Boolean).flat(2);
}

function toggle(name, label) {
  return make('button', { type: 'button', 'data-toggle': name, 'aria-pressed': String(sees[name]), onclick: () => flip(name) }, label);
}

function flip(name) {
  sees[name] = !sees[name];
  look();
}

function look() {
  main.classList.toggle('plain', !sees.differences);
  main.classList.toggle('no-attempts', !sees.attempts);
  main.classList.toggle('no-origins', !sees.origins);
  for (const button of main.querySelectorAll('[data-toggle]')) button.setAttribute('aria-pressed', String(sees[button.dataset.toggle]));
}

function turnOf(turn) {
  const kept = turn.answers.filter((answer) => answer.fate === 'kept');
  const others = turn.answers.filter((answer) => answer.fate !== 'kept');
  const notes = turn.notes.map((note) => noteOf(note));
  const old = turn.old && make('div', { class: 'box' }, make('div', { class: 'who' }, 'old answer'), textOf(turn.old));
  const none = make('div', { class: 'box missing' }, others.some((answer) => answer.fate === 'rejected') ? 'no answer was kept' : 'not answered yet');
  const isStored = turn.said.length === 0 && turn.old === null;
  // A judge alone answers nothing.
  const isJudged = turn.answers.length === 0 && turn.notes.length > 0;
  const fresh = kept.length ? kept.map((answer) => answerOf(answer)) : isJudged ? [] : [none];
  // Neither of two systems corrects the other.
  const isEven = kept.length > 1 && kept.every((answer) => answer.lane !== 'student');
  const columns = [old, ...fresh].filter(Boolean);
  return make('section', { id: `turn-${turn.number}` },
    make('h2', {}, `Turn ${turn.number}`),
    turn.said.map(messageOf),
    isStored && make('p', { class: 'facts' }, 'The user’s turn and the old answer are unavailable.'),
    isStored ? others.map((answer) => answerOf(answer)) : [
      columns.length > 1 ? make('div', { class: isEven ? 'pair even' : 'pair' }, columns) : columns,
      others.map((answer) => answerOf(answer)),
    ],
    notes);
}

function messageOf(message) {
  return make('div', { class: `said ${message.role}` },
    make('div', { class: 'who' }, message.simulated ? `${message.role}, simulated: ${message.simulated}` : message.role),
    textOf([{ mark: 'same', text: message.text }]),
    message.fields && make('div', { class: 'fields-json' }, JSON.stringify(message.fields, null, 2)));
}

function answerOf(answer) {
  const isAttempt = answer.fate !== 'kept';
  const fate = { kept: answer.lane ? 'answer' : 'new answer', rejected: 'rejected', open: 'answer' }[answer.fate];
  const isHidden = isAttempt && answer.fate === 'rejected';
  return make('div', { class: `box ${isHidden ? 'attempt' : isAttempt ? 'waiting' : ''}` },
    make('div', { class: 'who' },
      make('span', { class: answer.fate === 'rejected' ? 'rejected' : '' }, answer.lane ? `${answer.lane}: ${fate}` : fate,
        answer.rule ? ` by ${answer.rule}` : ''),
      (isAttempt || (answer.attempt > 1 && !answer.lane)) && make('span', {}, `attempt ${answer.attempt}`),
      answer.score !== null && make('span', {}, `score ${answer.score}`),
      answer.rejected_before.map((rule) => make('span', { class: 'tag rejected' }, `rejected before: ${rule}`)),
      answer.flags.map((flag) => make('span', { class: 'tag' }, flag))),
    textOf(answer.pieces),
    answer.fields && make('div', { class: 'fields-json' }, JSON.stringify(answer.fields, null, 2)),
    answer.reasoning && make('details', {}, make('summary', {}, 'Reasoning'), textOf([{ mark: 'same', text: answer.reasoning }])),
    answer.judged.map((verdict) => noteOf(verdict)),
    answer.origin && make('div', { class: 'origin' }, origin(answer.origin)));
}

/** What a judge said, with its words. */
function noteOf(note, scope) {
  const title = [scope, note.title].filter(Boolean).join(': ');
  return make('div', { class: 'judged' }, make('div', { class: 'who' }, make('span', {}, `judged by ${note.model}`), title && make('strong', {}, title)),
    note.text && textOf([{ mark: 'same', text: note.text }]));
}

function origin(from) {
  const tokens = (name, count) => count !== null && `${number(count)} ${name} tokens`;
  return [
    from.model, `finish ${from.finish}`, tokens('prompt', from.prompt_tokens),
    from.cached_tokens ? `${number(from.cached_tokens)} cached` : false, tokens('answer', from.completion_tokens),
    from.reasoning_tokens ? `${number(from.reasoning_tokens)} reasoning` : false,
    from.sent > 1 ? `sent ${from.sent} times` : false, from.run !== null && `run ${from.run}`,
    from.dropped.length > 0 && `not sent: ${from.dropped.join(', ')}`,
    from.fingerprint && `question ${from.fingerprint.slice(0, 12)}`,
  ].filter(Boolean).join(' · ');
}

/** Shows pieces as text, with what was searched marked. */
function textOf(pieces) {
  const wanted = form.elements.text.value.trim().toLowerCase();
  const names = { added: 'ins', removed: 'del', found: 'mark' };
  const nodes = pieces.map((piece) => {
    const words = hits(piece.text, wanted);
    return piece.mark === 'same' ? words : make(names[piece.mark], { class: piece.mark }, words);
  });
  return make('p', { class: 'text', dir: 'auto' }, nodes);
}

function hits(text, wanted) {
  if (!wanted) return [text];
  const lower = text.toLowerCase();
  // Letters whose lower case is longer would shift every place.
  if (lower.length !== text.length) return [text];
  const parts = [];
  let at = 0;
  for (let found = lower.indexOf(wanted); found >= 0 && parts.length < 2000; found = lower.indexOf(wanted, at)) {
    parts.push(text.slice(at, found), make('mark', { class: 'hit' }, text.slice(found, found + wanted.length)));
    at = found + wanted.length;
  }
  parts.push(text.slice(at));
  return parts;
}

// --- where we are

function follow(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(`/c/${event.currentTarget.dataset.item}${suffix()}`);
}

function go(address, replaces) {
  history[replaces ? 'replaceState' : 'pushState'](null, '', address);
  arrive(false);
}

function back() {
  go(`/${suffix()}`);
}

function arrive(isFresh) {
  const at = location.pathname.match(/^\/c\/(\d+)$/);
  const pair = location.pathname.match(/^\/p\/(\d+)$/);
  document.body.className = at || pair ? 'at-item' : 'at-list';
  state.pair = null;
  if (pair) return showPair(Number(pair[1]));
  if (location.pathname === '/pairs') return showFirstPair();
  if (isFresh) fillForm(location.search);
  if (at) return showItem(Number(at[1]), false);
  state.item = null;
  document.title = 'cohobate';
  markChosen();
  fill(main, [make('p', { class: 'empty' }, 'Choose a conversation. Press ? for the keys.')]);
  return undefined;
}

function step(by) {
  const at = state.items.findIndex((row) => row.item === state.item);
  const next = state.items[at < 0 ? 0 : at + by];
  if (next) {
    go(`/c/${next.item}${suffix()}`, state.item !== null);
    const link = byId('list').querySelector(`a[data-item="${next.item}"]`);
    if (link) link.scrollIntoView({ block: 'nearest' });
  } else if (by > 0 && state.next !== null) {
    showFurther().then(() => { if (state.items[at + by]) step(by); });
  }
}

function stepTurn(by) {
  const turns = [...main.querySelectorAll('section')];
  const top = (node) => node.getBoundingClientRect().top - main.getBoundingClientRect().top;
  const next = by > 0 ? turns.find((turn) => top(turn) > 12) : turns.reverse().find((turn) => top(turn) < -12);
  if (next) next.scrollIntoView({ block: 'start' });
}

document.addEventListener('keydown', (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  // Escape would empty a search field.
  if (event.key === 'Escape' && isTyping) { event.preventDefault(); event.target.blur(); return; }
  if (isTyping || event.metaKey || event.ctrlKey || event.altKey || byId('help').open) return;
  if (state.pair !== null) {
    const said = { 1: 'left', 2: 'right', t: 'tie', s: 'skip' }[event.key];
    if (said) { event.preventDefault(); judge(said); return; }
    const by = { j: 1, k: -1 }[event.key];
    if (by) { event.preventDefault(); goToPair(state.pair + by); return; }
  }
  const keys = {
    j: () => step(1), k: () => step(-1), n: () => stepTurn(1), p: () => stepTurn(-1),
    '/': () => byId('text').focus(), d: () => flip('differences'), r: () => flip('attempts'), o: () => flip('origins'),
    u: back, Escape: back, '?': () => byId('help').showModal(),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

let typing = 0;
form.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    tellFilters();
    history.replaceState(null, '', location.pathname + suffix());
    showList(false);
    if (state.shown && state.item !== null) { fill(main, conversation(state.shown)); look(); }
  }, 150);
});
form.addEventListener('submit', (event) => { event.preventDefault(); byId('text').blur(); });
byId('clear').addEventListener('click', () => { fillForm(''); form.dispatchEvent(new Event('input')); });
byId('further').addEventListener('click', showFurther);
byId('keys').addEventListener('click', () => byId('help').showModal());
byId('home').addEventListener('click', (event) => { event.preventDefault(); back(); });
byId('to-pairs').addEventListener('click', (event) => { event.preventDefault(); go('/pairs'); });
byId('more').addEventListener('toggle', () => { if (byId('more').open) fillChoices(); });
window.addEventListener('popstate', () => { arrive(true); showList(false); });

// --- what changes

function caution(texts) {
  fill(byId('cautions'), texts.filter(Boolean).map((text) => make('p', { class: 'caution' }, text)));
}

async function poll() {
  try {
    if (document.hidden) return;
    const [live] = await Promise.all([ask('/api/live'), state.isStore ? showRun() : null]);
    const { coverage } = live;
    const covered = coverage.journal_bytes - coverage.journal_left;
    state.isCovered = coverage.items_read >= coverage.items;
    const isWhole = coverage.items_read >= coverage.items && coverage.journal_left === 0;
    const rows = isWhole ? `all ${counted(coverage.items, 'conversation')}`
      : `reading: ${number(coverage.items_read)} of ${counted(coverage.items, 'conversation')}`;
    const journal = isWhole ? `, all ${bytes(coverage.journal_bytes)} of the journal`
      : `, ${bytes(covered)} of ${bytes(coverage.journal_bytes)} of the journal`;
    byId('cover').textContent = rows + (state.isStore ? journal : '');
    caution([state.missing, ...live.input_changes, live.problem]);
    if (live.generation !== state.generation) {
      state.generation = live.generation;
      const now = Date.now();
      if (now - state.listed > 4000 && byId('left').scrollTop < 400) { state.listed = now; showList(true); }
      if (now - state.counted > 10000 && byId('more').open) { state.counted = now; fillChoices(); }
      if (now - state.measured > 4000) { state.measured = now; showProgress(); }
      if (state.item !== null) showItem(state.item, true);
    }
  } catch (error) {
    caution([`The page is not served any more: ${error.message}`]);
  } finally {
    setTimeout(poll, LOOK_MS);
  }
}

async function start() {
  arrive(true);
  await Promise.all([
    showList(false),
    ask('/api/about').then((about) => {
      byId('store').textContent = about.name;
      byId('to-pairs').hidden = about.pairs === 0;
      state.isStore = about.is_store;
      state.missing = about.missing && `User turns and old answers are not shown: ${about.missing}`;
      caution([state.missing]);
    }),
  ]);
  state.listed = Date.now();
  poll();
}

// After the other scripts.
document.addEventListener('DOMContentLoaded', start);
