using System.Data.Common;

namespace UPool.Core;

/// <summary>
/// One session with the server, and the pool's books about it. Its renter holds it through <see cref="RentId"/>:
/// whoever changes that number from the renter's to 0, under the pool's lock, owns what happens next, so a connection
/// is returned, severed or closed exactly once (INV-3).
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

    /// <summary>The current rent's number; 0 when nobody holds it.</summary>
    public long RentId => Volatile.Read(ref _rentId);

    /// <summary>The transaction the renter began and has not ended; null when there is none.</summary>
    public DbTransaction? Transaction { get; set; }

    /// <summary>Whether the transaction is still the one that the renter began, by the API or by a statement; null when
    /// it has begun none.</summary>
    public TransactionWatch? Watch { get; set; }

    /// <summary>Whether the renter has taken autocommit away by a statement.</summary>
    public bool IsAutocommitOff { get; set; }

    /// <summary>The text that was executed last; null when it was of several statements.</summary>
    public string? RunningText { get; set; } = "";

    /// <summary>What is being executed; null when nothing is.</summary>
    public IStatement? Running { get; set; }

    /// <summary>Whether what was executed last goes on when one statement of it is ended.</summary>
    public bool RunsScript => RunningText is not { } text || SqlText.KindOf(text) == ScriptKind.Several;

    /// <summary>The reader the renter opened and has not closed; null when there is none.</summary>
    public DbDataReader? Reader { get; set; }

    /// <summary>
    /// What a dispose of the renter's left to be done: draining a reader, rolling back. Awaited before the next
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

    /// <summary>What a no-reset rent was made for; null in any other rent.</summary>
    public FixedSelect? Select { get; set; }

    /// <summary>
    /// Whether the session has to be reset before it may be rented again, since more was done on it than the rent's
    /// fixed SELECT, or that did not end well.
    /// </summary>
    public bool MustReset { get; set; }

    /// <summary>Whether the renter has had anything executed: when that ended well, the server has answered.</summary>
    public bool HasExecuted { get; set; }

    /// <summary>
    /// Whether nobody has used the session since it was opened or reset. One that only no-reset rents have used may
    /// be rented so again; any other rent gets it after a reset (INV-5).
    /// </summary>
    public bool IsAsNew { get; set; }

    /// <summary>Whether the renter has left nothing to be ended.</summary>
    public bool IsAtRest => Lingering is null && Reader is null && Transaction is null;

    /// <summary>The generation it was opened in; a clear ends all generations before it.</summary>
    public int Generation { get; set; }

    /// <summary>When it is to be retired; a timestamp of the pool's clock.</summary>
    public long RetireAt { get; set; }

    /// <summary>When the server was last heard of on it; a timestamp of the pool's clock.</summary>
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
    /// Whether the session is on a server that is not the one which answers now (after a switch-over): it holds no
    /// permit there. Asked anew at each <see cref="IConnector.ServerChanged"/>, and when it closes.
    /// </summary>
    public virtual bool IsElsewhere => false;

    /// <summary>Whether the pool's books count it as elsewhere.</summary>
    public bool CountsElsewhere { get; set; }

    /// <summary>Whether the driver says that the session is lost.</summary>
    public bool IsBroken => Inner.State != System.Data.ConnectionState.Open;

    /// <summary>
    /// What a failure means on this session: some that look like a lost connection are the statement's own.
    /// </summary>
    /// <param name="exception">What came out of the driver.</param>
    /// <param name="failure">What it means without the session.</param>
    public virtual DriverFailure Judge(Exception exception, DriverFailure failure) => failure;

    /// <summary>Asks the server for a sign of life.</summary>
    public abstract Task PingAsync();

    /// <summary>Makes the session as new (INV-5).</summary>
    public abstract Task ResetAsync();

    /// <summary>
    /// Ends the statement in flight on the server. Completes when the server has answered the kill, so that none
    /// is under way any more.
    /// </summary>
    public abstract Task KillStatementAsync();

    /// <summary>
    /// Closes the session. Completes when the <b>server</b> that it is on has dropped it (INV-1); stays pending while
    /// another server answers in its place.
    /// </summary>
    public abstract Task CloseAsync();

    /// <summary>Whether a transaction is open on the session. Asked after an error in one: then the answer no is
    /// final, and the question may leave traces in the diagnostics.</summary>
    public abstract Task<bool> IsInTransactionAsync();

    /// <summary>Sets the savepoint of <see cref="TransactionWatch"/>.</summary>
    public abstract Task MarkTransactionAsync();

    /// <summary>Takes that savepoint away; false when it is gone, and so is the transaction that it was set
    /// in.</summary>
    public abstract Task<bool> TakeMarkAsync();

    /// <summary>Whether the rollback that was the last statement has left something stored, in tables without
    /// transactions.</summary>
    public virtual Task<bool> HasKeptPartAsync() => Task.FromResult(false);

    /// <summary>Whether a statement that failed outside of a transaction may have left part of itself stored, in tables
    /// without transactions.</summary>
    /// <param name="text">The statement's text.</param>
    public virtual Task<bool> MayKeepPartAsync(string text) => Task.FromResult(false);

    /// <summary>
    /// Skips the rows of the open reader that were not read, as <see cref="Lingering"/>, which fails as they do.
    /// Elsewhere: the driver first goes through all that has arrived, on the thread that calls it.
    /// </summary>
    /// <param name="reader">The reader.</param>
    /// <param name="underWay">The reader's step that is under way already; it has not ended the reader.</param>
    public Task SkipRows(DbDataReader reader, Task<bool>? underWay = null)
    {
        Reader = null;
        LingeringReader = true;
        return Lingering = Task.Run(() => SkipAsync(reader, underWay));
    }

    /// <summary>Everything that lingered has ended well.</summary>
    public void EndLingering()
    {
        Lingering = null;
        LingeringReader = false;
        LingeringRollback = false;
    }

    /// <summary>Remembers what the driver was asked for, before anybody can be cut off from it.</summary>
    public void Begin(Task operation) => Interlocked.CompareExchange(ref _underWay, operation, null);

    /// <summary>The caller has taken what the operation came to.</summary>
    public void End(Task operation) => Interlocked.CompareExchange(ref _underWay, null, operation);

    /// <summary>
    /// Takes what an operation came to that nobody waited for any more. The driver holds on to a reader or a
    /// transaction that arrived late, and a reset of the session ends neither: the next renter's statements would fail.
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
    /// Rolls a transaction back, as <see cref="Lingering"/>, behind what lingers already. Sent at once, so that its
    /// locks are freed soon.
    /// </summary>
    public void RollBack(DbTransaction transaction)
    {
        LingeringRollback = true;
        Lingering = RollBackAfterAsync(Lingering, transaction);
    }

    /// <summary>Gives the connection to a rent. Under the pool's lock.</summary>
    public void BeginRent(long rentId) => Volatile.Write(ref _rentId, rentId);

    /// <summary>Takes the connection from a rent; false when somebody else has already. Under the pool's
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

            // Not by the dispose alone: the driver's keeps the errors that it meets to itself, and a deadlock among
            // them has rolled the transaction back (INV-9).
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

        // Kept until then: when it fails the recovery tries again, or gives the connection up.
        if (!ReferenceEquals(Transaction, transaction)) return;

        Transaction = null;
        TransactionGuard.End(this);
    }
}
