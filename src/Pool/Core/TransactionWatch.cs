namespace UPool.Core;

/// <summary>
/// Whether the transaction that a renter has begun on a session is still the one that is open there (INV-9). The server
/// ends one on its own account with an error, and commits it for a statement that takes no part in it; what is executed
/// then runs outside of it, and a commit is answered well.
/// </summary>
/// <remarks>
/// <para>Nothing is asked while all goes well. After an error the server is asked, before anything more of the
/// transaction is sent, whether it still has one open: an error keeps it or rolls all of it back.</para>
/// <para>A statement that may commit it, or may even begin another one (a procedure), gets a savepoint in front: when
/// that is gone behind it, the transaction that it was set in is gone.</para>
/// <para>One for each transaction; for the one operation that has claimed the session.</para>
/// </remarks>
/// <param name="session">The session.</param>
/// <param name="isByText">Whether it was begun by a statement, such as <c>BEGIN</c>.</param>
internal sealed class TransactionWatch(PhysicalConnection session, bool isByText)
{
    private Doubt _doubt;
    private bool _hasCommitted;

    private enum Doubt
    {
        None,

        /// <summary>An error came: it may have been rolled back.</summary>
        Error,

        /// <summary>A savepoint was set, and what it was set for was sent: it may have been committed.</summary>
        Mark,
    }

    /// <summary>Whether it was begun by a statement, such as <c>BEGIN</c>.</summary>
    public bool IsByText => isByText;

    /// <summary>Whether the server has to be asked before anything more of the transaction is sent.</summary>
    public bool MustLook => _doubt != Doubt.None;

    /// <summary>Whether the server has ended it: nothing more of it may be sent.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether what was done in it may be stored, although the renter has not committed it.</summary>
    public bool MayHaveCommitted => _hasCommitted || _doubt == Doubt.Mark;

    /// <summary>An operation failed.</summary>
    public void NoteError()
    {
        if (_doubt == Doubt.None) _doubt = Doubt.Error;
    }

    /// <summary>Sets the savepoint for a statement that may commit the transaction.</summary>
    public async Task MarkAsync()
    {
        await session.MarkTransactionAsync().ConfigureAwait(false);
        _doubt = Doubt.Mark;
    }

    /// <summary>Asks the server whether the transaction is still there.</summary>
    public async Task LookAsync()
    {
        if (_doubt == Doubt.Mark)
        {
            if (!await session.TakeMarkAsync().ConfigureAwait(false)) IsOver = _hasCommitted = true;
        }
        else if (_doubt == Doubt.Error)
        {
            if (!await session.IsInTransactionAsync().ConfigureAwait(false)) IsOver = true;
        }

        _doubt = Doubt.None;
    }
}
