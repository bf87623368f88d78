namespace UPool.Core;

/// <summary>
/// Whether the transaction that a renter has begun on a session is still the one that is open there (INV-9). The server
/// may end it without the renter: it rolls back with an error, or commits for a statement that takes no part in the
/// transaction. Later statements then run outside of it, and a commit succeeds nevertheless.
/// </summary>
/// <remarks>
/// <para>Nothing is asked while all statements succeed. After an error, before anything more of the transaction is
/// sent, the server is asked whether it still has a transaction open: an error keeps it or rolls all of it back.</para>
/// <para>A statement that may commit it, or may even begin another one (a procedure), gets a savepoint in front. If the
/// savepoint is gone afterwards, the transaction that it was set in is gone.</para>
/// <para>One object for each transaction, used only by the operation that has claimed the session.</para>
/// </remarks>
/// <param name="session">The session.</param>
/// <param name="origin">The origin of the transaction.</param>
internal sealed class TransactionWatch(PhysicalConnection session, TransactionOrigin origin)
{
    private Doubt _doubt;
    private bool _hasCommitted;
    private bool _hasDone;

    private enum Doubt
    {
        None,

        /// <summary>An error came: the transaction may have been rolled back.</summary>
        Error,

        /// <summary>A savepoint was set and its statement sent: the transaction may have been committed.</summary>
        Mark,
    }

    /// <summary>The origin of the transaction.</summary>
    public TransactionOrigin Origin => origin;

    /// <summary>Whether it was begun by a statement, such as <c>BEGIN</c>.</summary>
    public bool IsByText => origin != TransactionOrigin.Api;

    /// <summary>Whether the server must be asked before anything more of the transaction is sent.</summary>
    public bool MustLook => _doubt != Doubt.None;

    /// <summary>Whether the server has ended it: nothing more of it may be sent.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether there was no transaction: the text that should have begun it failed.</summary>
    public bool WasNone { get; private set; }

    /// <summary>Whether anything other than a read was done in it.</summary>
    public bool HasWritten { get; private set; }

    /// <summary>Whether its changes may be stored, although the renter has not committed it.</summary>
    public bool MayHaveCommitted => _hasCommitted || IsCommitUnclear || _doubt == Doubt.Mark;

    /// <summary>Whether a commit by the renter was answered with an error that leaves its effect open.</summary>
    public bool IsCommitUnclear { get; private set; }

    /// <summary>A statement was sent in it.</summary>
    /// <param name="isRead">Whether it only reads.</param>
    /// <param name="hasFailed">Whether it failed; a script may have done something before.</param>
    public void NoteSent(bool isRead, bool hasFailed)
    {
        HasWritten |= !isRead;
        _hasDone |= !hasFailed;
    }

    /// <summary>An operation failed.</summary>
    public void NoteError()
    {
        if (_doubt == Doubt.None) _doubt = Doubt.Error;
    }

    /// <summary>A commit was answered with an error that leaves its effect open, or its answer was not seen.</summary>
    public void NoteUnclearCommit()
    {
        NoteError();
        IsCommitUnclear = true;
    }

    /// <summary>Sets the savepoint for a statement that may commit the transaction.</summary>
    public async Task MarkAsync()
    {
        await session.MarkTransactionAsync().ConfigureAwait(false);
        _doubt = Doubt.Mark;
    }

    /// <summary>Asks the server whether the transaction still exists.</summary>
    public async Task LookAsync()
    {
        if (_doubt == Doubt.Mark)
        {
            if (!await session.TakeMarkAsync().ConfigureAwait(false)) IsOver = _hasCommitted = true;
        }
        else if (_doubt == Doubt.Error)
        {
            bool isThere = await session.IsInTransactionAsync().ConfigureAwait(false);
            if (isThere) (_hasDone, IsCommitUnclear) = (true, false);
            else if (IsOnlyPerhaps) WasNone = true;
            else IsOver = true;
        }

        _doubt = Doubt.None;
    }

    // Without autocommit a transaction begins with the first statement that needs it.
    private bool IsOnlyPerhaps => !_hasDone && !IsCommitUnclear
        && origin is TransactionOrigin.Script or TransactionOrigin.NoAutocommit;
}

/// <summary>The origin of a transaction.</summary>
internal enum TransactionOrigin
{
    /// <summary>The API.</summary>
    Api,

    /// <summary>A statement, such as <c>BEGIN</c>.</summary>
    Statement,

    /// <summary>A script that failed, but may have begun one before.</summary>
    Script,

    /// <summary>Any statement, because autocommit was turned off.</summary>
    NoAutocommit,
}
