using System.Threading.Channels;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// One control connection that ends statements and asks the server whether sessions are gone. It answers questions in
/// batches, with one read of the process list for all that wait, so a hundred closes cost little more than one.
/// </summary>
/// <remarks>
/// <para>The lane never gives up: a question holds a permit or a connection, and only the server's answer may free it
/// (INV-1). At most two questions wait for each session of the process's pools, one for each row of the register, and
/// one that only needs an answer.</para>
/// <para>A server is asked only about its own sessions. When the address leads to another server, the lane follows
/// (<c>.Moving</c>); questions about sessions of the former server are kept, in case it comes back.</para>
/// <para>While the server does not answer, one statement or one open stays pending as the probe. A host that died
/// without closing its connections would keep that probe for a quarter of an hour (<c>.Silence</c>).</para>
/// <para>A new session of the lane ends statements only after the server has dropped the former one: a KILL QUERY still
/// in flight over the former would hit the next renter (INV-5). Only a new session has rights that were granted
/// meanwhile (<c>.Rights</c>).</para>
/// </remarks>
internal sealed partial class KillLane : IAsyncDisposable
{
    // The interval between two looks at sessions that are still ending: a local session is gone within a millisecond,
    // one that rolls back takes seconds.
    private static readonly TimeSpan MinPollInterval = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxPollInterval = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan MinRetryInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MaxRetryInterval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);

    private readonly LaneSource _source;
    private readonly string _target;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly SessionRegister? _register;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<KillQuestion> _questions = Channel.CreateUnbounded<KillQuestion>();
    private readonly Task _loop;
    private readonly Lock _gate = new();
    private volatile string? _problem, _denial;
    private volatile ControlSession? _newest;

    // Guarded by _gate: the question about no session, one at a time.
    private Task _answer = Task.CompletedTask;

    // Used by the loop only: open questions; questions about the lane's own sessions that were given up; the session in
    // use; the second session; and the close of one whose open was given up and may still be answered.
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
        _watchedAt = clock.GetTimestamp();
        _logger = GuardedLogger.For<KillLane>(loggers);
        Server = new KnownServer(_target, clock, GuardedLogger.For<KnownServer>(loggers));
        Server.Changed += Wake;

        // With a budget the storage writes all the time, and notices a switch-over without this.
        if (register is null) Server.Found += Wake;
        SignIns = new SignInGate(clock);
        _source = new LaneSource(new SessionSource(settings, loggers, SignIns), register, clock);
        using (ExecutionContext.SuppressFlow()) _loop = Task.Run(RunAsync);
    }

    public TimeProvider Clock => _clock;

    /// <summary>Keeps the process from retrying a password that the server has refused.</summary>
    public SignInGate SignIns { get; }

    /// <summary>The server that all of the process's sessions are with.</summary>
    public KnownServer Server { get; }

    /// <summary>The reason why the server cannot be asked, in one line; null if it can, or before the first
    /// attempt.</summary>
    public string? Problem => _problem;

    /// <summary>The server's refusal to let this account end a session, in one line; null if there is none.</summary>
    public string? Denial => _denial;

    /// <summary>The lane's newest session; the default before the first.</summary>
    public ServerSession Session => _newest?.Session ?? default;

    /// <summary><see cref="Problem"/> is new or has changed. Raised on the lane: a handler must neither block nor
    /// throw.</summary>
    public event Action? ProblemFound;

    /// <summary>Ends the statement that a session executes. Completes when the server has answered.</summary>
    public Task KillStatementAsync(ServerSession session) => AskAsync(new KillQuestion(session, untilGone: false));

    /// <summary>Ends a session. Completes when its own server no longer knows it; stays pending while the address leads
    /// to another server.</summary>
    public Task WaitUntilGoneAsync(ServerSession session) => AskAsync(new KillQuestion(session, untilGone: true));

    /// <summary>Asks about no session. Completes when the server has answered; the lane first opens and registers its
    /// own session if it has none.</summary>
    public Task AnswerAsync()
    {
        lock (_gate)
        {
            if (_answer.IsCompleted) _answer = KillStatementAsync(default);
            return _answer;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Server.Changed -= Wake;
        Server.Found -= Wake;
        _questions.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);

        // On a server that hangs, the probe stays pending: the process ends without its answer.
        if (await _loop.EndsWithinAsync(StopTimeout, _clock).ConfigureAwait(false))
            await _source.EndAsync().ConfigureAwait(false);
    }

    /// <summary>Uses sessions from another source as soon as the server has accepted one of them.</summary>
    /// <returns>Whether the first attempt succeeded; also false if another change or the end came first.</returns>
    public Task<bool> ChangeAsync(SessionSource candidate)
    {
        Task<bool> changed = _source.Change(candidate);
        Wake();
        return changed;
    }

    private Task AskAsync(KillQuestion question)
    {
        if (!_questions.Writer.TryWrite(question)) question.Abandon();
        return question.Task;
    }

    private void Wake() => _ = AnswerAsync().ContinueWith(
        static asked => asked.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted,
        TaskScheduler.Default);

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
                TimeSpan pause = _open.Count + _own.Count > 0 ? poll : Shorter(_source.DueIn, WatchIn);
                if (pause == Timeout.InfiniteTimeSpan) await more.ConfigureAwait(false);
                else await Task.WhenAny(more, Task.Delay(pause, _clock, _stop.Token)).ConfigureAwait(false);
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

                    // The first look answers questions about statements; the rest are about sessions that are still
                    // ending.
                    poll = TimeSpan.FromTicks(Math.Min(poll.Ticks * 2, MaxPollInterval.Ticks));
                }
                catch (Exception exception) when (!_stop.IsCancellationRequested)
                {
                    // Catch everything the driver throws: a lane that ended would hold every permit for ever (INV-7).
                    // The server may have closed an idle connection, so the first failure is retried at once and not
                    // reported.
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

    /// <summary>Asks all open questions once, over the current session or a new one.</summary>
    private async Task TurnAsync()
    {
        foreach (List<KillQuestion> questions in (List<KillQuestion>[])[_open, _own, _elsewhere])
            questions.RemoveAll(static question => question.Task.IsCompleted);

        // Read before the look: a change between the two ends the wait of this round.
        Task changed = Server.NextChange;
        await FollowAsync().ConfigureAwait(false);
        bool isReplaced = _source.IsChangeDue && _session is { IsCompleted: true };
        if (isReplaced)
        {
            await GiveUpAsync(_session).ConfigureAwait(false);
            _session = null;
        }

        _session ??= OpenAsync(isReplaced);
        var round = new KillRound();

        // A new session checks at once: it must have seen the server writable to notice that it becomes read-only.
        bool watches = WatchIn == TimeSpan.Zero || !_session.IsCompleted;
        Task answering = round.AnswerAsync(_session, [.. _own], [.. _open], watches);
        if (!await IsGivenUpAsync(answering, changed).ConfigureAwait(false))
        {
            await answering.ConfigureAwait(false);
            await SortAsync(watches).ConfigureAwait(false);
            return;
        }

        // From now on that round settles nothing: its questions are asked again, and only one answer may settle each.
        round.GiveUp();
        await GiveUpAsync(_session).ConfigureAwait(false);
        (_session, _second) = (_second, null);
    }

    private async Task<ControlSession> OpenAsync(bool isReplaced)
    {
        long open = Server.BeginOpen();
        ControlSession session = await _source.OpenAsync(isReplaced).ConfigureAwait(false);
        _newest = session;
        _openedAt = _clock.GetTimestamp();
        Server.Note(open, session.Facts);
        return session;
    }

    /// <summary>Gives up a session of the lane; the lane asks about it until the server has dropped it.</summary>
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
            // The open failed, so there is no session; or the lane has ended.
        }
    }

    private async Task EndAsync()
    {
        _former?.End();
        foreach (Task<ControlSession>? task in (Task<ControlSession>?[])[_session, _second])
        {
            if (task is not { IsCompletedSuccessfully: true }) continue;

            ControlSession session = await task.ConfigureAwait(false);
            await session.UnregisterAsync().EndsWithinAsync(StopTimeout, _clock).ConfigureAwait(false);
            await session.CloseAsync(StopTimeout, _clock).ConfigureAwait(false);
        }

        if (_former is not null) await _former.Ended.EndsWithinAsync(StopTimeout, _clock).ConfigureAwait(false);

        // Complete the channel first: a later question must fail, not wait for an answer that never comes.
        _questions.Writer.TryComplete();
        while (_questions.Reader.TryRead(out KillQuestion? unread)) _open.Add(unread);
        foreach (KillQuestion question in _open.Concat(_elsewhere)) question.Abandon();
    }

    private void Note(string problem)
    {
        if (problem == _problem) return;

        _problem = problem;
        LogCannotAsk(problem);
        ProblemFound?.Invoke();
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) =>
        one == Timeout.InfiniteTimeSpan ? other
        : other == Timeout.InfiniteTimeSpan || one < other ? one
        : other;

    [LoggerMessage(1101, LogLevel.Warning, "The control connection cannot ask the server; it keeps trying. {Problem}")]
    private partial void LogCannotAsk(string problem);
}
