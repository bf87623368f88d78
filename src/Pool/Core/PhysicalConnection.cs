using System.Data.Common;

namespace UPool.Core;

/// <summary>
/// One session with the server, and the pool's data about it. Its renter holds it through <see cref="RentId"/>: the
/// code that changes that number from the renter's to 0, under the pool's lock, owns the next step. So a connection is
/// returned, severed or closed exactly once (INV-3).
/// </summary>
internal abstract class PhysicalConnection
{
    private long _rentId;
    private Task? _underWay;

    /// <summary>The driver's connection.</summary>
    public abstract DbConnection Inner { get; }

    /// <summary>Whether a statement in flight can be ended on the server (not behind a proxy, not in SQLite).</summary>
    public abstract bool CanKill { get; }

    /// <summary>The operation in flight; one at a time.</summary>
    public Operation Operation { get; } = new();

    /// <summary>The current rent's number; 0 when it is not rented.</summary>
    public long RentId => Volatile.Read(ref _rentId);

    /// <summary>The transaction the renter began and has not ended; null when there is none.</summary>
    public DbTransaction? Transaction { get; set; }

    /// <summary>Watches the transaction that the renter began, by the API or by a statement; null when it began
    /// none.</summary>
    public TransactionWatch? Watch { get; set; }

    /// <summary>Whether a statement of the renter has turned autocommit off.</summary>
    public bool IsAutocommitOff { get; set; }

    /// <summary>The text that was executed last; null when it had several statements.</summary>
    public string? RunningText { get; set; } = "";

    /// <summary>The statement being executed; null when there is none.</summary>
    public IStatement? Running { get; set; }

    /// <summary>Whether the last execution continues when one statement of it is ended.</summary>
    public bool RunsScript => RunningText is not { } text || SqlText.KindOf(text) == ScriptKind.Several;

    /// <summary>The reader the renter opened and has not closed; null when there is none.</summary>
    public DbDataReader? Reader { get; set; }

    /// <summary>
    /// The work that a dispose by the renter left: skipping a reader's rows, rolling back. Awaited before the next
    /// operation, or by the recovery; never by the dispose itself (INV-6).
    /// </summary>
    public Task? Lingering { get; set; }

    /// <summary>Whether <see cref="Lingering"/> is a reader with rows to come, which a kill shortens.</summary>
    public bool LingeringReader { get; set; }

    /// <summary>
    /// Whether <see cref="Lingering"/> ends with a rollback. When it fails the session is still in the old transaction.
    /// </summary>
    public bool LingeringRollback { get; set; }

    /// <summary>Whether the connection must not be used again once its renter is done with it.</summary>
    public bool MustDiscard { get; set; }

    /// <summary>The fixed SELECT of a no-reset rent; null in any other rent.</summary>
    public FixedSelect? Select { get; set; }

    /// <summary>
    /// Whether the session must be reset before it may be rented again: the rent did more than its fixed SELECT, or the
    /// SELECT did not end well.
    /// </summary>
    public bool MustReset { get; set; }

    /// <summary>Whether the renter has executed anything: if that ended well, the server has answered.</summary>
    public bool HasExecuted { get; set; }

    /// <summary>
    /// Whether the session is unused since it was opened or reset. One that only no-reset rents have used may be rented
    /// to them again; any other rent gets it after a reset (INV-5).
    /// </summary>
    public bool IsAsNew { get; set; }

    /// <summary>Whether the renter has left nothing to be ended.</summary>
    public bool IsAtRest => Lingering is null && Reader is null && Transaction is null;

    /// <summary>The generation it was opened in; a clear ends all generations before it.</summary>
    public int Generation { get; set; }

    /// <summary>When it is to be retired; a timestamp of the pool's clock.</summary>
    public long RetireAt { get; set; }

    /// <summary>When the server last answered on it; a timestamp of the pool's clock.</summary>
    public long AnsweredAt { get; set; }

    /// <summary>When it became idle; a timestamp of the pool's clock.</summary>
    public long IdleSince { get; set; }

    /// <summary>When it was rented; a timestamp of the pool's clock. 0 once it is back.</summary>
    public long RentedAt { get; set; }

    /// <summary>Where it was rented, for the report of a rent held too long.</summary>
    public RentPlace RentedBy { get; set; }

    /// <summary>The pending rent that it was handed to; null when its renter did not wait.</summary>
    public PendingRent? Waited { get; set; }

    /// <summary>Whether the rent was reported as held too long.</summary>
    public bool ReportedHeld { get; set; }

    /// <summary>
    /// Whether the session is on a former server, not on the one that answers now (after a switch-over): it holds no
    /// permit on the present one. Read again at each <see cref="IConnector.ServerChanged"/>, and when it closes.
    /// </summary>
    public virtual bool IsElsewhere => false;

    /// <summary>Whether the pool's books count it as elsewhere.</summary>
    public bool CountsElsewhere { get; set; }

    /// <summary>Whether the driver reports the session as lost.</summary>
    public bool IsBroken => Inner.State != System.Data.ConnectionState.Open;

    /// <summary>
    /// The meaning of a failure on this session: some that look like a lost connection are the statement's own.
    /// </summary>
    /// <param name="exception">The driver's exception.</param>
    /// <param name="failure">Its meaning regardless of the session.</param>
    public virtual DriverFailure Judge(Exception exception, DriverFailure failure) => failure;

    /// <summary>Pings the server.</summary>
    public abstract Task PingAsync();

    /// <summary>Makes the session as new (INV-5).</summary>
    public abstract Task ResetAsync();

    /// <summary>
    /// Ends the statement in flight on the server. Completes when the server has answered the kill, so that no kill is
    /// under way any more.
    /// </summary>
    public abstract Task KillStatementAsync();

    /// <summary>
    /// Closes the session. Completes when the <b>server</b> that it is on has dropped it (INV-1); stays pending while
    /// another server answers in its place.
    /// </summary>
    public abstract Task CloseAsync();

    /// <summary>Whether a transaction is open on the session. Asked after an error in one: a no is then final, and the
    /// query may leave traces in the diagnostics.</summary>
    public abstract Task<bool> IsInTransactionAsync();

    /// <summary>Sets the savepoint of <see cref="TransactionWatch"/>.</summary>
    public abstract Task MarkTransactionAsync();

    /// <summary>Removes that savepoint; false when it is gone, and with it the transaction that it was set
    /// in.</summary>
    public abstract Task<bool> TakeMarkAsync();

    /// <summary>Whether the rollback that was the last statement has left changes stored in non-transactional
    /// tables.</summary>
    public virtual Task<bool> HasKeptPartAsync() => Task.FromResult(false);

    /// <summary>Whether a statement that failed outside a transaction may have left part of its changes stored in
    /// non-transactional tables.</summary>
    /// <param name="text">The statement's text.</param>
    public virtual Task<bool> MayKeepPartAsync(string text) => Task.FromResult(false);

    /// <summary>
    /// Skips the unread rows of the open reader, as <see cref="Lingering"/>, which fails as they do. On another thread:
    /// the driver first processes all data that has arrived, on the thread that calls it.
    /// </summary>
    /// <param name="reader">The reader.</param>
    /// <param name="underWay">The reader's step that is already under way; it has not ended the reader.</param>
    public Task SkipRows(DbDataReader reader, Task<bool>? underWay = null)
    {
        Reader = null;
        LingeringReader = true;
        return Lingering = Task.Run(() => SkipAsync(reader, underWay));
    }

    /// <summary>All lingering work has ended well.</summary>
    public void EndLingering()
    {
        Lingering = null;
        LingeringReader = false;
        LingeringRollback = false;
    }

    /// <summary>Remembers the driver's operation, before its caller can be cut off from it.</summary>
    public void Begin(Task operation) => Interlocked.CompareExchange(ref _underWay, operation, null);

    /// <summary>The caller has taken the operation's result.</summary>
    public void End(Task operation) => Interlocked.CompareExchange(ref _underWay, null, operation);

    /// <summary>
    /// Takes the result of an operation that no caller waits for any more. The driver keeps a reader or a transaction
    /// that arrived late, and a reset of the session ends neither: the next renter's statements would fail.
    /// </summary>
    public async ValueTask AdoptAsync()
    {
        switch (Interlocked.Exchange(ref _underWay, null))
        {
            case Task<DbDataReader> { IsCompletedSuccessfully: true } reader:
                Reader ??= await reader.ConfigureAwait(false);
                break;
            case Task<DbTransaction> { IsCompletedSuccessfully: true } transaction:
                Transaction ??= await transaction.ConfigureAwait(false);
                break;
        }
    }

    /// <summary>
    /// Rolls a transaction back, as <see cref="Lingering"/>, after the work that lingers already. Sent at once, so that
    /// its locks are freed soon.
    /// </summary>
    public void RollBack(DbTransaction transaction)
    {
        LingeringRollback = true;
        Lingering = RollBackAfterAsync(Lingering, transaction);
    }

    /// <summary>Gives the connection to a rent. Under the pool's lock.</summary>
    public void BeginRent(long rentId) => Volatile.Write(ref _rentId, rentId);

    /// <summary>Takes the connection from a rent; false when the rent has ended already. Under the pool's
    /// lock.</summary>
    public bool TryEndRent(long rentId)
    {
        if (rentId == 0 || _rentId != rentId) return false;

        Volatile.Write(ref _rentId, 0);
        return true;
    }

    private static async Task SkipAsync(DbDataReader reader, Task<bool>? underWay)
    {
        try
        {
            if (underWay is not null) await underWay.ConfigureAwait(false);

            // The driver's Dispose swallows errors, so read to the end first: a deadlock among them has rolled the
            // transaction back (INV-9).
            while (await reader.NextResultAsync(CancellationToken.None).ConfigureAwait(false))
            {
            }
        }
        finally
        {
            await reader.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RollBackAfterAsync(Task? before, DbTransaction transaction)
    {
        if (before is not null) await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await transaction.DisposeAsync().ConfigureAwait(false);

        // Kept until here: if the rollback fails, the recovery tries again or discards the connection.
        if (!ReferenceEquals(Transaction, transaction)) return;

        Transaction = null;
        TransactionGuard.End(this);
    }
}
