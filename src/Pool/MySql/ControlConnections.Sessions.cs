using System.Collections.Concurrent;
using System.Data.Common;

namespace UPool.MySql;

/// <content>What the server says of the deployment's sessions, and ending those of others (INV-2).</content>
public sealed partial class ControlConnections
{
    // A look takes milliseconds; whoever asked must hear of a server that does not answer, and gives nothing away.
    private static readonly TimeSpan LookTimeout = TimeSpan.FromSeconds(10);

    // Beyond what a healthy server ever takes, below a look's own time.
    private static readonly TimeSpan LaneTimeout = TimeSpan.FromSeconds(3);

    // How long a fresh look waits for what was accepted before it to log in or go, and how often it looks meanwhile.
    private static readonly TimeSpan SettleTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SettleInterval = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<string, bool> _accounts = new(StringComparer.Ordinal);

    // Sessions of the register that the lane is asked about: no more than the register has rows.
    private readonly ConcurrentDictionary<ServerSession, bool> _unlisted = [];

    /// <summary>
    /// What the server says now of all sessions of the deployment: those in the register, and those of the accounts of
    /// its pools and control connections that no register knows. Removes rows of sessions that are gone.
    /// </summary>
    /// <exception cref="InvalidOperationException">Made without an incarnation.</exception>
    /// <exception cref="DbException">The server could not be asked: nothing is known.</exception>
    public async Task<ServerLook> LookAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfWithoutRegister();
        var deadline = Deadline.After(LookTimeout, _clock);
        using PooledConnection connection =
            (await _storage.RentAsync(deadline, cancellationToken).ConfigureAwait(false)).GetConnectionOrThrow();
        return await LookAsync(connection, isFresh: false, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// The same, over a session that is opened for it: it has passed through the server's accept queue behind every
    /// open that was sent before the call, so none of them can still come to light. It takes the place of the storage's
    /// session; there are never more than <see cref="MaxConnections"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">Made without an incarnation.</exception>
    /// <exception cref="DbException">The server could not be asked: nothing is known.</exception>
    public async Task<ServerLook> FreshLookAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfWithoutRegister();
        var deadline = Deadline.After(LookTimeout, _clock);

        // The lane has to confirm the end of the session that is replaced. While it cannot, membership keeps the one it
        // has.
        if (!await LaneAnswersAsync(cancellationToken).ConfigureAwait(false))
            throw new RentRefusedException(RefusalReason.Unavailable, LaneProblem);

        // Whatever is rented after a clear was opened after it; an open under way at the clear is closed unused.
        _storage.Clear();
        using PooledConnection connection =
            (await _storage.RentAsync(deadline, cancellationToken).ConfigureAwait(false)).GetConnectionOrThrow();
        long startedAt = _clock.GetTimestamp();
        while (true)
        {
            ServerLook look = await LookAsync(connection, isFresh: true, cancellationToken).ConfigureAwait(false);
            if (look.IsSettled || _clock.GetElapsedTime(startedAt) > SettleTimeout) return look;

            await Task.Delay(SettleInterval, _clock, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Ends sessions. Completes when the server has dropped them, and no look will tell of them any more: only then are
    /// their permits free. Never gives up; a session with the same id and another host is left alone. Completes too
    /// when the address leads to another server than theirs, where they hold nothing.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The control connections were closed meanwhile.</exception>
    public async Task EndAsync(IEnumerable<DeploymentSession> sessions)
    {
        ArgumentNullException.ThrowIfNull(sessions);
        ServerSession[] all = [.. sessions.Select(static session => new ServerSession(
            session.Id, session.Host, session.Server.Length > 0 ? new ServerIdentity(session.Server) : default))];
        await EndAsync(all).ConfigureAwait(false);

        // The lane removes rows behind its answers, so they are gone by its next one.
        if (Register is not null && all.Length > 0) await EndAsync(all[^1..]).ConfigureAwait(false);
    }

    private async Task EndAsync(ServerSession[] sessions)
    {
        List<Task> asked = [.. sessions.Select(KillLane.WaitUntilGoneAsync)];
        while (true)
        {
            Task changed = KillLane.Server.NextChange;
            Task here = Task.WhenAll(asked.Where((_, at) => !KillLane.Server.IsElsewhere(sessions[at])));
            if (await Task.WhenAny(here, changed).ConfigureAwait(false) != here) continue;

            await here.ConfigureAwait(false);
            return;
        }
    }

    /// <summary>Sessions of this account are the deployment's.</summary>
    internal void KnowAccount(string account) => _accounts.TryAdd(account, true);

    private async Task<ServerLook> LookAsync(
        PooledConnection connection, bool isFresh, CancellationToken cancellationToken)
    {
        RegisterLook look = await RegisterLook
            .TakeAsync(connection, Register!, [.. _accounts.Keys], isFresh, cancellationToken).ConfigureAwait(false);

        // Nobody waits for these: the lane removes the rows of those that are gone, and asks on for the others. Once
        // each, however often somebody looks meanwhile.
        foreach (ServerSession session in look.Unlisted)
        {
            if (_unlisted.TryAdd(session, true)) _ = ForgetWhenGoneAsync(session);
        }

        return look.Look;
    }

    private async Task ForgetWhenGoneAsync(ServerSession session)
    {
        await KillLane.WaitUntilGoneAsync(session).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _unlisted.TryRemove(session, out _);
    }

    private string LaneProblem =>
        KillLane.Problem ?? $"{MySqlSettings.Describe(_settings)} has not answered a control connection.";

    /// <summary>Asks the lane about no session; it opens and registers its own when it is asked anything.</summary>
    private async Task<bool> LaneAnswersAsync(CancellationToken cancellationToken)
    {
        Task answer = KillLane.AnswerAsync();
        await answer.WaitAsync(LaneTimeout, _clock, cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        return answer.IsCompletedSuccessfully;
    }

    private void ThrowIfWithoutRegister()
    {
        if (Register is null)
            throw new InvalidOperationException("These control connections were made without an incarnation.");
    }
}
