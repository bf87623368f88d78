using System.Collections.Concurrent;
using System.Data.Common;

namespace UPool.MySql;

/// <content>Looks at the deployment's sessions on the server, and ends sessions of other processes (INV-2).</content>
public sealed partial class ControlConnections
{
    // A look takes milliseconds. Its caller must learn that the server does not answer, and then grants nothing.
    private static readonly TimeSpan LookTimeout = TimeSpan.FromSeconds(10);

    // Longer than a healthy server ever takes, and shorter than the timeout of a look.
    private static readonly TimeSpan LaneTimeout = TimeSpan.FromSeconds(3);

    // How long a fresh look waits until every connection accepted before it has logged in or gone, and its interval.
    private static readonly TimeSpan SettleTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SettleInterval = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<string, bool> _accounts = new(StringComparer.Ordinal);

    // Sessions of the register that the lane has been asked about: at most one for each row of the register.
    private readonly ConcurrentDictionary<ServerSession, bool> _unlisted = [];

    /// <summary>
    /// Reads all sessions of the deployment from the server: those in the register, and the unregistered ones of the
    /// accounts of its pools and control connections. Removes the rows of sessions that are gone.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is no incarnation.</exception>
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
    /// As <see cref="LookAsync(CancellationToken)"/>, over a session that is opened for it. That session passes through
    /// the server's accept queue behind every open that was sent before the call, so none of those can appear later. It
    /// replaces the storage's session; there are never more than <see cref="MaxConnections"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is no incarnation.</exception>
    /// <exception cref="DbException">The server could not be asked: nothing is known.</exception>
    public async Task<ServerLook> FreshLookAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfWithoutRegister();
        var deadline = Deadline.After(LookTimeout, _clock);

        // The lane has to confirm the end of the replaced session. While it cannot, membership keeps its session.
        if (!await LaneAnswersAsync(cancellationToken).ConfigureAwait(false))
            throw new RentRefusedException(RefusalReason.Unavailable, LaneProblem);

        // A connection rented after a clear was opened after it; an open under way at the clear is closed unused.
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
    /// Ends sessions. Completes when the server has dropped them and no look will list them any more: only then are
    /// their permits free. Never gives up. A session with the same id and another host is left alone. Also completes
    /// when the address leads to another server than theirs, where they hold nothing.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The control connections were closed meanwhile.</exception>
    public async Task EndAsync(IEnumerable<DeploymentSession> sessions)
    {
        ArgumentNullException.ThrowIfNull(sessions);
        ServerSession[] all = [.. sessions.Select(static session => new ServerSession(
            session.Id, session.Host, session.Server.Length > 0 ? new ServerIdentity(session.Server) : default))];
        await EndAsync(all).ConfigureAwait(false);

        // The lane removes rows after it has answered, so they are gone by its next answer.
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

    /// <summary>Counts the sessions of this account as the deployment's.</summary>
    internal void KnowAccount(string account) => _accounts.TryAdd(account, true);

    private async Task<ServerLook> LookAsync(
        PooledConnection connection, bool isFresh, CancellationToken cancellationToken)
    {
        RegisterLook look = await RegisterLook
            .TakeAsync(connection, Register!, [.. _accounts.Keys], isFresh, cancellationToken).ConfigureAwait(false);

        // Not awaited: the lane removes the rows of sessions that are gone, and keeps asking about the others. Each
        // session is asked about once, however many looks run meanwhile.
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

    /// <summary>Asks the lane about no session: it opens and registers its own session for any question.</summary>
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
