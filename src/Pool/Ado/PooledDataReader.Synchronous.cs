using System.Data.Common;

namespace UPool;

/// <content>
/// Synchronous steps. Without <see cref="PoolOptions.AllowSynchronous"/> they give what has arrived: libraries read
/// synchronously what they have executed asynchronously (Dapper's multi-mapping, foreach, <c>DataTable.Load</c>).
/// </content>
public sealed partial class PooledDataReader
{
    // The time in all that the synchronous steps of one reader give to rows that are on their way. A result arrives in
    // pieces, and one that is a moment late must not fail a reader that never meant to wait. As much as INV-6 allows a
    // caller past its deadline: a server that freezes in the middle of rows holds a thread so long, once a connection.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private TimeSpan _graceUsed;
    private bool? _hasRows;

    // A step whose outcome nobody has taken yet.
    private Task<bool>? _ahead;
    private bool _isAheadRow;

    /// <summary>Whether the current result has rows.</summary>
    /// <exception cref="InvalidOperationException">Nothing has arrived yet, and synchronous calls are not
    /// allowed.</exception>
    public override bool HasRows
    {
        get
        {
            _ = Inner;
            if (_hasRows is null && _inner.FieldCount == 0) return false;
            if (_hasRows is null && _ahead is null) Keep(ReadAsync(CancellationToken.None), isRow: true);
            if (_hasRows is null) Finish(_ahead!, "ReadAsync");
            return _hasRows ?? false;
        }
    }

    /// <summary>The driver's reader while it stands on a row of the caller's.</summary>
    private DbDataReader Row => _ahead is null
        ? Inner
        : throw new InvalidOperationException("Read must be called first.");

    /// <summary>Reads the next row when it has arrived.</summary>
    /// <exception cref="InvalidOperationException">It has not, and synchronous calls are not allowed. The reader is as
    /// before: <c>ReadAsync</c> goes on.</exception>
    public override bool Read()
    {
        ThrowIfClosed();
        return Step(isRow: true, "ReadAsync");
    }

    /// <summary>Goes to the next result when it has arrived.</summary>
    /// <exception cref="InvalidOperationException">It has not, and synchronous calls are not allowed. The reader is as
    /// before: <c>NextResultAsync</c> goes on.</exception>
    public override bool NextResult()
    {
        ThrowIfClosed();
        return Step(isRow: false, "NextResultAsync");
    }

    private bool Step(bool isRow, string instead)
    {
        Task<bool> step = isRow ? ReadAsync(CancellationToken.None) : NextResultAsync(CancellationToken.None);
        if (step.IsCompleted) return step.GetAwaiter().GetResult();

        Keep(step, isRow);
        try
        {
            return Finish(step, instead);
        }
        finally
        {
            if (step.IsCompleted) _ahead = null;
        }
    }

    private void Keep(Task<bool> step, bool isRow)
    {
        _ahead = step;
        _isAheadRow = isRow;
    }

    /// <summary>Takes the outcome of a step that is under way, blocking only where that is allowed.</summary>
    private bool Finish(Task<bool> step, string instead)
    {
        if (!step.IsCompleted && !_connection.Pool.Options.AllowSynchronous && !ArrivesSoon(step))
        {
            // Nobody may come back for it.
            _ = step.ContinueWith(
                static late => late.Exception, CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
            throw new InvalidOperationException(
                $"Pool '{_connection.Pool.Options.Name}': what a synchronous read asks for has not arrived, and no "
                + $"thread waits for it. Use {instead}, or set AllowSynchronous.");
        }

        return step.GetAwaiter().GetResult();
    }

    private bool ArrivesSoon(Task<bool> step)
    {
        TimeProvider clock = TimeProvider.System;
        long startedAt = clock.GetTimestamp();
        bool arrived = SpinWait.SpinUntil(() => step.IsCompleted, Grace - _graceUsed);
        _graceUsed += clock.GetElapsedTime(startedAt);
        if (_graceUsed > Grace) _graceUsed = Grace;
        return arrived;
    }

    /// <summary>Gives the outcome of the step that nobody has taken, or goes on from there.</summary>
    private Task<bool> TakeAhead(bool isRow, CancellationToken token)
    {
        Task<bool> ahead = _ahead!;
        bool isSame = isRow == _isAheadRow;
        if (!isSame) return GoOnAsync(ahead, isRow, token);

        _ahead = null;
        return ahead;
    }

    private async Task<bool> GoOnAsync(Task<bool> ahead, bool isRow, CancellationToken token)
    {
        await ahead.ConfigureAwait(false);
        _ahead = null;
        return await (isRow ? ReadAsync(token) : NextResultAsync(token)).ConfigureAwait(false);
    }
}
