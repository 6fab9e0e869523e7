'use strict';
// Pairs, judged without knowing whose answers they are

async function showPair(pair) {
  state.item = null;
  state.pair = pair;
  markChosen();
  try {
    const [shown, list] = await Promise.all([ask(`/api/pair/${pair}`), ask('/api/pairs?limit=1')]);
    if (state.pair !== pair) return;
    state.pairs = list;
    fill(main, pairOf(shown, list));
    main.scrollTop = 0;
    look();
    document.title = `Pair ${pair + 1} · cohobate`;
  } catch (error) {
    fill(main, [make('p', { class: 'empty' }, String(error.message))]);
  }
}

function pairOf(shown, list) {
  const [left, right] = shown.sides;
  const isShared = JSON.stringify(left.before) === JSON.stringify(right.before);
  const scope = shown.turn ? `turn ${shown.turn}` : 'whole conversation';
  const side = (one, name) => make('div', {},
    !isShared && one.before.map(messageOf),
    make('div', { class: one.unavailable ? 'box missing' : 'box' }, make('div', { class: 'who' }, name),
      one.unavailable ? `The answer is unavailable: ${one.unavailable}` : textOf(one.answer)));
  const choice = (said, label, key) => make('button', { type: 'button', 'aria-pressed': String(shown.said === said), onclick: () => judge(said) },
    `${label} `, make('kbd', {}, key));
  return [
    make('h1', {}, `${shown.id}, ${scope}`),
    make('p', { class: 'facts' }, `Pair ${number(shown.pair + 1)} of ${number(list.total)}; ${number(list.judged)} judged, saved in ${list.file}`),
    make('div', { class: 'tools judging' },
      choice('left', 'Left is better', '1'), choice('right', 'Right is better', '2'), choice('tie', 'Tie', 't'), choice('skip', 'Skip', 's'),
      make('button', { type: 'button', onclick: () => goToPair(shown.pair - 1) }, 'Previous'),
      make('button', { type: 'button', onclick: () => goToPair(shown.pair + 1) }, 'Next'),
      toggle('differences', 'Differences')),
    isShared && left.before.map(messageOf),
    make('div', { class: 'pair even' }, side(left, 'left answer'), side(right, 'right answer')),
    shown.revealed && make('details', { class: 'revealed' }, make('summary', {}, 'Whose answers they are, and what the judge says'), revealedOf(shown.revealed)),
  ].flat(2).filter(Boolean);
}

function revealedOf(revealed) {
  const said = (winner) => winner || 'no verdict';
  const rows = [
    ['Left', revealed.names[0]], ['Right', revealed.names[1]], ['Judge', revealed.judge], ['Verdict', revealed.winner],
    ['Left shown first', said(revealed.orders[0])], ['Right shown first', said(revealed.orders[1])],
  ];
  const words = revealed.words.map((text, at) => text && noteOf({ model: revealed.judge, title: `with the ${at ? 'right' : 'left'} answer shown first`, text }));
  return [make('table', {}, rows.map(([name, value]) => make('tr', {}, make('td', { class: 'quiet' }, name), make('td', {}, value)))), words];
}

async function judge(said) {
  const pair = state.pair;
  if (state.judging || pair === null) return;
  state.judging = true;
  try {
    const reply = await send(`/api/pair/${pair}`, { said });
    if (!reply.ok) throw new Error((await reply.text()).trim());
    const { total } = state.pairs;
    if (pair + 1 < total) goToPair(pair + 1);
    else await showPair(pair);
  } catch (error) {
    caution([`The vote was not saved: ${error.message}`]);
  } finally {
    state.judging = false;
  }
}

function goToPair(pair) {
  if (pair >= 0 && state.pairs && pair < state.pairs.total) go(`/p/${pair}`);
}

async function showFirstPair() {
  try {
    const list = await ask('/api/pairs?limit=1');
    go(`/p/${list.first_open === null ? 0 : list.first_open}`, true);
  } catch (error) {
    fill(main, [make('p', { class: 'empty' }, String(error.message))]);
  }
}
