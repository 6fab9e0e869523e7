'use strict';
// The run that is at work: what its socket says of it, and what it may be asked.

const ofRun = { isAtWork: false, asking: false };

const dollars = (amount) => `$${amount < 0.1 && amount > 0 ? amount.toPrecision(2) : amount.toFixed(2)}`;

async function showRun() {
  const shown = await ask('/api/run');
  ofRun.isAtWork = Boolean(shown && shown.status);
  byId('run').hidden = !shown || !(shown.status || shown.last || shown.problem);
  if (byId('run').hidden) return;
  for (const node of document.querySelectorAll('[data-at-work]')) node.hidden = !ofRun.isAtWork;
  const facts = ofRun.isAtWork ? factsOfRun(shown.status) : factsOfLast(shown.last);
  if (shown.problem) facts.push(make('span', { class: 'stopped' }, `The run cannot be asked: ${shown.problem}`));
  fill(byId('run-now'), facts.filter(Boolean));
  if (!ofRun.isAtWork) return;
  fill(byId('run-more'), detailsOfRun(shown.status));
  fill(byId('servers'), serversOf(shown.status));
}

function factsOfRun(status) {
  const { progress, run } = status;
  const share = progress.total ? ` (${Math.floor((100 * progress.done) / progress.total)} %)` : '';
  const failed = Object.values(progress.failures).reduce((sum, count) => sum + count, 0);
  const rate = progress.per_second;
  return [
    make('progress', { max: progress.total || 1, value: progress.done, 'aria-label': 'progress of the run' }),
    make('strong', { class: status.phase === 'running' ? 'complete' : 'open' }, status.phase),
    make('span', {}, `${number(progress.done)} of ${counted(progress.total, progress.unit)}${share}`),
    progress.reused > 0 && make('span', { class: 'quiet' }, `${progress.reused_is_exact ? '' : 'at least '}${number(progress.reused)} reused`),
    rate > 0 && make('span', {}, `${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} a second`),
    progress.eta_s !== null && make('span', {}, `about ${duration(progress.eta_s)} left`),
    run && make('span', {}, costOf(progress, run)),
    run && make('span', {}, `${number(run.calls.in_flight)} of ${number(run.calls.allowed)} calls in flight`),
    progress.waiting && make('span', { class: 'open' }, `waiting: ${progress.waiting.reason}`),
    run && run.conversations.failed > 0 && make('span', { class: 'failed' }, `${counted(run.conversations.failed, 'conversation')} failed`),
    failed > 0 && make('span', { class: 'failed' }, counted(failed, 'failed call')),
  ];
}

/** What matters once somebody looks closer. */
function detailsOfRun(status) {
  const { progress, run } = status;
  const failures = Object.entries(progress.failures).sort((one, other) => other[1] - one[1]);
  return [
    run && make('span', {}, `${number(run.conversations.open)} conversations open, ${number(run.conversations.failed)} failed`),
    run && make('span', {}, `${number(run.calls.waiting)} questions waiting, ${counted(run.calls.sent, 'call')} sent`),
    run && make('span', {}, `limits: concurrency ${limit(run.limits.concurrency)}, rpm ${limit(run.limits.rpm)}, cost ${run.limits.max_cost === null ? 'none' : dollars(run.limits.max_cost)}`),
    progress.rejected > 0 && make('span', {}, `${number(progress.rejected)} answers rejected`),
    make('span', {}, `${number(progress.prompt_tokens)} prompt tokens, ${number(progress.completion_tokens)} answer tokens in this run`),
    failures.length > 0 && make('span', { class: 'failed' }, `failed calls: ${failures.map(([code, count]) => `${code} ${number(count)}`).join(', ')}`),
    status.last_failure && make('span', { class: 'failed' }, `the last one: ${status.last_failure}`),
  ].filter(Boolean);
}

const limit = (value) => (value === null ? 'none' : number(value));

function costOf(progress, run) {
  const end = progress.cost_at_end ? `, about ${dollars(progress.cost_at_end)} at the end` : '';
  const tokens = `${number(run.spent.prompt_tokens + run.spent.output_tokens)} tokens`;
  return progress.cost === null ? `${tokens}, no price known` : `${dollars(run.spent.cost)} spent in this store${end}`;
}

function factsOfLast(last) {
  if (!last) return [];
  return [
    make('span', { class: 'quiet' }, `No run is at work. The last one, ${last.run} (${last.command}): `),
    make('span', { class: last.state === 'finished' ? 'complete' : 'stopped' }, `${last.state}${last.reason ? `: ${last.reason}` : ''}`),
    make('span', { class: 'quiet' }, `${number(last.answers)} answers, ${counted(last.failed_calls, 'failed call')}${last.cost ? `, ${dollars(last.cost)}` : ''}`),
  ];
}

function serversOf(status) {
  if (!status.run) return [make('p', { class: 'quiet' }, 'No server is asked yet.')];
  const head = ['Server', 'State', 'In flight', 'Answers', ''];
  const rows = status.run.models.flatMap((model) => model.replicas.map((server) => {
    const wait = server.wait_s === null ? '' : `, next try in ${duration(server.wait_s)}`;
    const name = [server.replica, make('div', { class: 'quiet' }, model.model)];
    const cells = [name, `${server.condition}${wait}`, `${number(server.in_flight)} of ${number(server.allowed)}`, number(server.answers)];
    return make('tr', {}, cells.map((cell) => make('td', {}, cell)),
      make('td', {}, make('button', { type: 'button', onclick: () => steer({ verb: 'drain', replica: server.replica }) }, 'Drain')));
  }));
  return [make('table', {}, make('thead', {}, make('tr', {}, head.map((name) => make('th', {}, name)))), make('tbody', {}, rows))];
}

async function steer(request) {
  if (ofRun.asking) return;
  ofRun.asking = true;
  try {
    const reply = await send('/api/run/verb', request);
    const text = (await reply.text()).trim();
    byId('said').textContent = reply.ok ? JSON.parse(text).said : text;
    byId('said').className = reply.ok ? 'quiet' : 'stopped';
    await showRun();
  } catch (error) {
    byId('said').textContent = String(error.message);
  } finally {
    ofRun.asking = false;
  }
}

for (const button of document.querySelectorAll('[data-verb]')) {
  button.addEventListener('click', () => {
    const request = JSON.parse(button.dataset.verb);
    if (request.verb !== 'stop' || window.confirm(request.now ? 'Stop now? The calls in flight are lost.' : 'Stop the run? The same command resumes it.')) steer(request);
  });
}

byId('limits').addEventListener('submit', (event) => {
  event.preventDefault();
  const request = { verb: 'set' };
  for (const [name, value] of new FormData(event.target)) if (value.trim() !== '') request[name] = value.trim();
  steer(request);
});

byId('replica').addEventListener('submit', (event) => {
  event.preventDefault();
  steer({ verb: 'add-replica', server: new FormData(event.target).get('server') });
});
