using Microsoft.Extensions.Logging;

namespace UPool.MySql;

/// <summary>
/// The server that a process's address leads to, as found by its sessions: those of its pools, of the kill lane and of
/// the storage. If one of them finds another server, all are told, so that none stays behind.
/// </summary>
/// <param name="target">The address, for messages.</param>
/// <param name="clock">The clock.</param>
/// <param name="logger">The logger for warnings to an operator.</param>
internal sealed partial class KnownServer(string target, TimeProvider clock, ILogger logger)
{
    // A balancer that spreads connections over several servers shows another server at every second open, and following
    // it gains nothing. So this many changes in a row are followed, and one more after each interval: a switch-over
    // takes longer than that.
    private const int MaxChangesInARow = 10;
    private static readonly TimeSpan ChangeInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly ILogger _logger = logger;

    // Guarded by _gate.
    private string? _family;
    private long _sent;
    private long _newest;
    private int _changesLeft = MaxChangesInARow;
    private long _changesCountedAt = clock.GetTimestamp();
    private bool _isSpreadTold;
    private TaskCompletionSource _changed = NewSignal();

    // Written under _gate.
    private volatile Known _current = new(default);

    /// <summary>The server that the newest open has found; without a name before the first open.</summary>
    public ServerIdentity Current => _current.Server;

    /// <summary>Completes when <see cref="Current"/> changes.</summary>
    public Task NextChange
    {
        get
        {
            lock (_gate) return _changed.Task;
        }
    }

    /// <summary>The first session has identified its server. Raised in the same way as <see cref="Changed"/>.</summary>
    public event Action? Found;

    /// <summary>The address leads to another server, or the server has restarted. Raised outside all locks, on the
    /// thread that has found out: a handler must neither block nor throw.</summary>
    public event Action? Changed;

    /// <summary>Whether a session is with another server than the address leads to.</summary>
    public bool IsElsewhere(ServerSession session) => session.Server.IsOther(_current.Server);

    /// <summary>Numbers an open that is about to be sent: the result of a later open is newer.</summary>
    public long BeginOpen()
    {
        lock (_gate) return ++_sent;
    }

    /// <summary>
    /// Records the server that a new session has found, and logs once any warning about that server.
    /// </summary>
    /// <param name="open">The open's number.</param>
    /// <param name="facts">The session's facts.</param>
    /// <returns>Whether the session is with the server that the address leads to.</returns>
    public bool Note(long open, SessionFacts facts)
    {
        NoteFamily(facts.Family);
        ServerIdentity found = facts.Session.Server;
        if (facts.IsProxied || found.Name is null) return true;

        ServerIdentity before;
        TaskCompletionSource? changed = null;
        bool isFirst = false, isSpread = false;
        lock (_gate)
        {
            before = _current.Server;
            bool differs = found.DiffersFrom(before);
            if (open < _newest) return !differs;

            _newest = open;
            if (differs && !MayChange_NeedsLock())
            {
                isSpread = !_isSpreadTold;
                _isSpreadTold = true;
            }
            else if (differs || before.Name is null)
            {
                _current = new Known(found);
                isFirst = !differs;
                if (differs) (changed, _changed) = (_changed, NewSignal());
            }
            else if (before.Witness is null && found.Witness is not null)
            {
                _current = new Known(found);
            }
        }

        if (isSpread) LogSpread(target);
        if (isFirst) Found?.Invoke();
        if (changed is null) return !found.DiffersFrom(Current);

        LogChanged(target, before.Name!, found.Name);
        changed.TrySetResult();
        Changed?.Invoke();
        return true;
    }

    private void NoteFamily(DatabaseFamily family)
    {
        lock (_gate)
        {
            if (_family == family.Name) return;

            _family = family.Name;
        }

        if (!family.WasTested) LogNotTested(target, family.Name);
        if (family.Blindness is { } blindness) LogBlind(target, blindness);
    }

    private bool MayChange_NeedsLock()
    {
        long now = clock.GetTimestamp();
        long earned = clock.GetElapsedTime(_changesCountedAt, now).Ticks / ChangeInterval.Ticks;
        if (earned > 0)
        {
            _changesLeft = (int)Math.Min(MaxChangesInARow, _changesLeft + earned);
            _changesCountedAt = now;
        }

        if (_changesLeft == 0) return false;

        _changesLeft--;
        return true;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(1111, LogLevel.Warning,
        "{Target} is {Server}, a version that uPool was not tested on. Tested versions: MySQL 9.7, MariaDB 10.11 and "
        + "MariaDB 11.8.")]
    private partial void LogNotTested(string target, string server);

    [LoggerMessage(1112, LogLevel.Warning,
        "{Target} cannot say when a session is gone, so a permit may be used again before the server has dropped the "
        + "session it was for (INV-1). {Problem}")]
    private partial void LogBlind(string target, string problem);

    [LoggerMessage(1113, LogLevel.Warning,
        "{Target} leads to another server now, or it has restarted: sessions with {Before} are replaced by sessions "
        + "with {Server}.")]
    private partial void LogChanged(string target, string before, string server);

    [LoggerMessage(1114, LogLevel.Warning,
        "{Target} leads to several servers in turn. Statements on another server than the control connection's cannot "
        + "be ended, and closes there cannot be confirmed. Name one server.")]
    private partial void LogSpread(string target);

    private sealed record Known(ServerIdentity Server);
}
