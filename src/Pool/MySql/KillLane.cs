using System.Threading.Channels;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// One control connection that ends statements and asks the server whether sessions are gone. Questions are answered in
/// batches: one look at the process list for all that wait, so a hundred closes cost little more than one.
/// </summary>
/// <remarks>
/// <para>Nothing here gives up: a question keeps a permit or a connection back, and only the server's answer may free
/// it (INV-1). The questions waiting are at most two for each session of the process's pools, so they are bounded by
/// the permits.</para>
/// <para>While the server does not answer, one statement or one open is left pending, which is the probe. A host that
/// died without a word would keep that probe for as long as TCP repeats itself, a quarter of an hour, and every close
/// of every pool with it. So after a long silence a second session is opened beside it, one at most. Whichever is
/// answered first goes on; the other is ended, and confirmed as any session is. Not with a budget, which has no room
/// for a session that was not counted (INV-2): there TCP decides.</para>
/// <para>A session follows another only when the server has dropped that one: a KILL QUERY that was still on its way
/// over it would hit the next renter (INV-5).</para>
/// </remarks>
internal sealed partial class KillLane : IAsyncDisposable
{
    // Between two looks at sessions that are still ending: a local one is gone within a millisecond, one that rolls
    // back takes seconds.
    private static readonly TimeSpan MinPollInterval = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxPollInterval = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan MinRetryInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MaxRetryInterval = TimeSpan.FromSeconds(1);

    // After this a question unanswered is news for the operator; it stays asked.
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    // After this a second session is tried. Longer than a server is frozen by a snapshot or a failover, because then
    // the process has one control connection too many until the server has ended the first.
    private static readonly TimeSpan SilenceTimeout = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);

    private readonly LaneSource _source;
    private readonly string _target;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly SessionRegister? _register;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<KillQuestion> _questions = Channel.CreateUnbounded<KillQuestion>();
    private readonly Task _loop;
    private volatile string? _problem, _denial;
    private volatile ControlSession? _newest;

    // The loop's own. Questions not settled; those about sessions of the lane that were given up; the session in use,
    // the second one, and one whose open was given up and may still be answered.
    private readonly List<KillQuestion> _open = [];
    private readonly List<KillQuestion> _own = [];
    private Task<ControlSession>? _session, _second;
    private Task? _surplus;
    private long _openedAt;
    private Backoff _backoff = new(MinRetryInterval, MaxRetryInterval);

    public KillLane(
        MySqlConnectionStringBuilder settings, TimeProvider clock, ILoggerFactory? loggers, SessionRegister? register)
    {
        _register = register;
        _target = MySqlSettings.Describe(settings);
        _clock = clock;
        _logger = GuardedLogger.For<KillLane>(loggers);
        Server = new KnownServer(_target, GuardedLogger.For<KnownServer>(loggers));
        _source = new LaneSource(MySqlSettings.Build(settings, loggers), register, clock);
        using (ExecutionContext.SuppressFlow()) _loop = Task.Run(RunAsync);
    }

    public TimeProvider Clock => _clock;

    /// <summary>What is known of the server that all of the process's sessions are with.</summary>
    public KnownServer Server { get; }

    /// <summary>Why the server cannot be asked, in one plain line; null when it can, or nobody tried.</summary>
    public string? Problem => _problem;

    /// <summary>That the server can be asked, and does not let this account end a session; null when it does.</summary>
    public string? Denial => _denial;

    /// <summary>The lane's own newest session; the default before the first.</summary>
    public ServerSession Session => _newest?.Session ?? default;

    /// <summary><see cref="Problem"/> has come up or changed. Raised on the lane: a handler must neither block nor
    /// throw.</summary>
    public event Action? ProblemFound;

    /// <summary>Ends the statement a session executes. Completes when the server has answered.</summary>
    public Task KillStatementAsync(ServerSession session) => AskAsync(new KillQuestion(session, untilGone: false));

    /// <summary>Ends a session. Completes when the server no longer knows it.</summary>
    public Task WaitUntilGoneAsync(ServerSession session) => AskAsync(new KillQuestion(session, untilGone: true));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _questions.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);

        // On a server that hangs, the statement that is the probe pends: the process ends without its answer.
        if (await _loop.EndsWithinAsync(StopTimeout, _clock).ConfigureAwait(false))
            await _source.EndAsync().ConfigureAwait(false);
    }

    /// <summary>Asks over sessions that are opened with something else, as soon as the server has accepted
    /// that.</summary>
    /// <returns>Whether the first try succeeded; false too when another change or the end came first.</returns>
    public Task<bool> ChangeAsync(MySqlDataSource candidate)
    {
        Task<bool> changed = _source.Change(candidate);

        // Wakes the loop: there is no session 0.
        _ = KillStatementAsync(default).ContinueWith(
            static asked => asked.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted,
            TaskScheduler.Default);
        return changed;
    }

    private Task AskAsync(KillQuestion question)
    {
        if (!_questions.Writer.TryWrite(question)) question.Abandon();
        return question.Task;
    }

    private async Task RunAsync()
    {
        bool isFirstFailure = true;
        TimeSpan poll = MinPollInterval;
        Task<bool> more = _questions.Reader.WaitToReadAsync(_stop.Token).AsTask();
        try
        {
            while (true)
            {
                // A new question does not wait for the next look at the old ones.
                if (_open.Count + _own.Count > 0)
                    await Task.WhenAny(more, Task.Delay(poll, _clock, _stop.Token)).ConfigureAwait(false);
                else if (_source.DueIn is var dueIn && dueIn != Timeout.InfiniteTimeSpan)
                    await Task.WhenAny(more, Task.Delay(dueIn, _clock, _stop.Token)).ConfigureAwait(false);
                else
                    await more.ConfigureAwait(false);
                _stop.Token.ThrowIfCancellationRequested();

                while (_questions.Reader.TryRead(out KillQuestion? next))
                {
                    _open.Add(next);
                    poll = MinPollInterval;
                }

                if (more.IsCompleted) more = _questions.Reader.WaitToReadAsync(_stop.Token).AsTask();
                try
                {
                    await TurnAsync().ConfigureAwait(false);
                    isFirstFailure = true;
                    _backoff.Reset();
                    _problem = null;
                    await LookForRightsAsync().ConfigureAwait(false);

                    // Statements are answered at the first look; what is left are sessions that are still ending.
                    poll = TimeSpan.FromTicks(Math.Min(poll.Ticks * 2, MaxPollInterval.Ticks));
                }
                catch (Exception exception) when (!_stop.IsCancellationRequested)
                {
                    // Whatever the driver throws: a lane that ended would hold every permit for ever (INV-7). A
                    // connection that sat idle may have been closed by the server: the first failure is tried again at
                    // once and is no news.
                    await GiveUpAsync(_session).ConfigureAwait(false);
                    (_session, _second) = (_second, null);
                    if (isFirstFailure)
                    {
                        isFirstFailure = false;
                        continue;
                    }

                    Note(MySqlErrors.Explain(exception, _target));
                    await Task.Delay(_backoff.Next(), _clock, _stop.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        finally
        {
            await EndAsync().ConfigureAwait(false);
        }
    }

    /// <summary>One look at all that is asked, over the session there is or a new one.</summary>
    private async Task TurnAsync()
    {
        _open.RemoveAll(static question => question.Task.IsCompleted);
        _own.RemoveAll(static question => question.Task.IsCompleted);
        bool isReplaced = _source.IsChangeDue && _session is { IsCompleted: true };
        if (isReplaced)
        {
            await GiveUpAsync(_session).ConfigureAwait(false);
            _session = null;
        }

        _session ??= OpenAsync(isReplaced);
        var turn = new KillTurn();
        Task answering = turn.AnswerAsync(_session, [.. _own], [.. _open]);
        if (!await IsGivenUpAsync(answering).ConfigureAwait(false))
        {
            await answering.ConfigureAwait(false);
            return;
        }

        // From now on that turn settles nothing: what it has asked is asked again, and one answer has to do for both.
        turn.GiveUp();
        await GiveUpAsync(_session).ConfigureAwait(false);
        (_session, _second) = (_second, null);
    }

    private async Task<ControlSession> OpenAsync(bool isReplaced)
    {
        ControlSession session = await _source.OpenAsync(isReplaced).ConfigureAwait(false);
        _newest = session;
        Server.Note(session.Facts);
        _openedAt = _clock.GetTimestamp();
        return session;
    }

    /// <summary>
    /// A session that this account may not end stays asked about, and holds up nobody else. Rights that were given
    /// meanwhile are looked for on another session from time to time, because one keeps those that it began with.
    /// </summary>
    private async Task LookForRightsAsync()
    {
        if (_session is not { IsCompletedSuccessfully: true }) return;

        ControlSession session = await _session.ConfigureAwait(false);
        string? denial = session.Denial is { } denied ? MySqlErrors.Explain(denied, _target) : null;
        session.Denial = null;
        if (denial is not null && denial != _denial) LogCannotAsk(denial);
        _denial = denial;
        if (denial is null || _clock.GetElapsedTime(_openedAt) < MaxRetryInterval) return;

        await GiveUpAsync(_session).ConfigureAwait(false);
        _session = null;
    }

    /// <summary>Whether a turn is still unanswered when a second session, tried after a long silence, is not.</summary>
    private async Task<bool> IsGivenUpAsync(Task answering)
    {
        if (await answering.EndsWithinAsync(AnswerTimeout, _clock).ConfigureAwait(false)) return false;

        Note($"{_target} has not answered a control connection within {AnswerTimeout.TotalMilliseconds:0} ms.");
        if (_register is not null) return false;

        TimeSpan rest = SilenceTimeout - AnswerTimeout;
        if (await answering.EndsWithinAsync(rest, _clock).ConfigureAwait(false)) return false;

        return await IsSecondAnsweredFirstAsync(answering).ConfigureAwait(false);
    }

    /// <summary>Opens a second session until it or the first is answered; says whether it was the second.</summary>
    private async Task<bool> IsSecondAnsweredFirstAsync(Task answering)
    {
        // Two at most, those counted that are given up and not yet known to be gone.
        while (!answering.IsCompleted && _own.Count == 0 && _surplus is not { IsCompleted: false })
        {
            _second ??= OpenAsync(isReplaced: false);
            await Task.WhenAny(answering, _second).ConfigureAwait(false);
            if (answering.IsCompleted) break;
            if (_second.IsCompletedSuccessfully) return true;

            // The first one stays asked all the while.
            _second = null;
            await answering.EndsWithinAsync(_backoff.Next(), _clock).ConfigureAwait(false);
        }

        // After a failure of the first the second goes on; else it is of no use any more.
        if (!answering.IsCompletedSuccessfully) return false;

        await GiveUpAsync(_second).ConfigureAwait(false);
        _second = null;
        return false;
    }

    /// <summary>Lets go of a session of the lane, which is asked about until the server has dropped it.</summary>
    private async Task GiveUpAsync(Task<ControlSession>? given)
    {
        if (given is { IsCompletedSuccessfully: true })
        {
            ControlSession session = await given.ConfigureAwait(false);
            if (session.Session is { } known) _own.Add(new KillQuestion(known, untilGone: true));
            _ = session.CloseAsync(StopTimeout, _clock);
        }
        else if (given is { IsCompleted: false })
        {
            _surplus = CloseWhenOpenAsync(given);
        }
    }

    private async Task CloseWhenOpenAsync(Task<ControlSession> opening)
    {
        try
        {
            ControlSession session = await opening.ConfigureAwait(false);
            await session.CloseAsync(StopTimeout, _clock).ConfigureAwait(false);
            if (session.Session is { } known) await WaitUntilGoneAsync(known).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // It failed, so there is no session; or the lane has ended.
        }
    }

    private async Task EndAsync()
    {
        foreach (Task<ControlSession>? task in (Task<ControlSession>?[])[_session, _second])
        {
            if (task is not { IsCompletedSuccessfully: true }) continue;

            ControlSession session = await task.ConfigureAwait(false);
            await session.UnregisterAsync().EndsWithinAsync(StopTimeout, _clock).ConfigureAwait(false);
            await session.CloseAsync(StopTimeout, _clock).ConfigureAwait(false);
        }

        // Closed first: a question asked from now on must fail, rather than wait for an answer that never comes.
        _questions.Writer.TryComplete();
        while (_questions.Reader.TryRead(out KillQuestion? unread)) _open.Add(unread);
        foreach (KillQuestion question in _open) question.Abandon();
    }

    private void Note(string problem)
    {
        if (problem == _problem) return;

        _problem = problem;
        LogCannotAsk(problem);
        ProblemFound?.Invoke();
    }

    [LoggerMessage(1101, LogLevel.Warning, "The control connection cannot ask the server; it keeps trying. {Problem}")]
    private partial void LogCannotAsk(string problem);
}
