using System.Data.Common;

namespace UPool;

/// <content>
/// Synchronous steps. Without <see cref="PoolOptions.AllowSynchronous"/> they return only data that has arrived: some
/// libraries execute asynchronously and read synchronously (Dapper's multi-mapping, foreach, <c>DataTable.Load</c>).
/// </content>
public sealed partial class PooledDataReader
{
    // The total time that one reader's synchronous steps wait for rows on their way: a result arrives in pieces, and a
    // short delay between them must not fail the reader. Equal to what INV-6 allows a caller past its deadline: a
    // server that freezes in the middle of rows blocks a thread this long, once per connection.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private TimeSpan _graceUsed;
    private bool? _hasRows;

    // A step whose result has not been taken.
    private Task<bool>? _ahead;
    private bool _isAheadRow;

    /// <summary>Whether the current result has rows.</summary>
    /// <exception cref="InvalidOperationException">No row has arrived yet, and synchronous calls are not
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

    /// <summary>The driver's reader while it is on a row that the caller has read.</summary>
    private DbDataReader Row => _ahead is null
        ? Inner
        : throw new InvalidOperationException("Read must be called first.");

    /// <summary>Reads the next row if it has arrived.</summary>
    /// <exception cref="InvalidOperationException">It has not arrived, and synchronous calls are not allowed. The
    /// reader is unchanged: continue with <c>ReadAsync</c>.</exception>
    public override bool Read()
    {
        ThrowIfClosed();
        return Step(isRow: true, "ReadAsync");
    }

    /// <summary>Goes to the next result if it has arrived.</summary>
    /// <exception cref="InvalidOperationException">It has not arrived, and synchronous calls are not allowed. The
    /// reader is unchanged: continue with <c>NextResultAsync</c>.</exception>
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

    /// <summary>Takes the result of a step under way, blocking only if that is allowed.</summary>
    private bool Finish(Task<bool> step, string instead)
    {
        if (!step.IsCompleted && !_connection.Pool.Options.AllowSynchronous && !ArrivesSoon(step))
        {
            // Observe its failure: the caller may never take it.
            _ = step.ContinueWith(
                static late => late.Exception, CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
            throw new InvalidOperationException(
                $"Pool '{_connection.Pool.Options.Name}': the data of a synchronous read has not arrived, and no "
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

    /// <summary>Returns the step whose result has not been taken, or continues after it.</summary>
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
