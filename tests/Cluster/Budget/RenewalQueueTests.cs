using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>Renewals that wait for the ledger, and their duplicates.</summary>
public sealed class RenewalQueueTests
{
    private readonly RenewalQueue _queue = new();

    [Fact]
    public void Add_CopyOfOneThatWaitsOrIsBeingWritten_GetsItsAnswer()
    {
        Task<LeaseReply> first = _queue.Add(Request("a", 1));
        Task<LeaseReply> other = _queue.Add(Request("b", 1));
        Assert.Same(first, _queue.Add(Request("a", 1)));
        Assert.NotSame(first, other);

        IReadOnlyList<RenewalQueue.Renewal> batch = _queue.Take();
        Assert.Equal(["a", "b"], batch.Select(static renewal => renewal.Request.Incarnation));
        Assert.Same(first, _queue.Add(Request("a", 1)));
        Assert.Equal(0, _queue.Count);
    }

    [Fact]
    public void Add_CopyOfOneThatWasAnswered_GetsItsAnswerUntilTheNextBatch()
    {
        Task<LeaseReply> first = _queue.Add(Request("a", 1));
        _queue.Take()[0].Reply.SetResult(new LeaseReply { RequestSequence = 1, Status = LeaseStatus.Granted });
        Assert.Same(first, _queue.Add(Request("a", 1)));

        Assert.Empty(_queue.Take());
        Assert.NotSame(first, _queue.Add(Request("a", 1)));
        Assert.Equal(1, _queue.Count);
    }

    [Fact]
    public void Add_CopyOfOneThatFailed_WaitsForABatchOfItsOwn()
    {
        Task<LeaseReply> first = _queue.Add(Request("a", 1));
        _queue.Take()[0].Reply.SetException(new BudgetUnavailableException("not written"));
        Assert.True(first.IsFaulted);

        Task<LeaseReply> second = _queue.Add(Request("a", 1));
        Assert.False(second.IsCompleted);
        Assert.Equal(1, _queue.Count);

        // Forgetting the failed request must not remove its successor.
        Assert.Single(_queue.Take());
        Assert.Same(second, _queue.Add(Request("a", 1)));
    }

    [Fact]
    public async Task Add_MoreThanThereCanBe_IsRefused()
    {
        for (int sequence = 1; sequence <= RenewalQueue.MaxWaiting; sequence++) _ = _queue.Add(Request("a", sequence));

        await Assert.ThrowsAsync<BudgetUnavailableException>(() => _queue.Add(Request("b", 1)));
        Assert.False(_queue.Add(Request("a", 1)).IsCompleted);
    }

    private static LeaseRequest Request(string incarnation, long sequence) => new()
    {
        Incarnation = incarnation,
        Sequence = sequence,
        Settings = new BudgetOptions().ToSettings(100),
    };
}
