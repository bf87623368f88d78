using UPool.Core;

namespace UPool.Tests.Core;

public sealed class PendingQueueTests
{
    [Fact]
    public void Dequeue_SomeLeftInBetween_GivesTheRestInOrder()
    {
        var random = new Random(4711);
        var queue = new PendingQueue();
        List<PendingRent> model = [];
        List<PendingRent> gone = [];
        for (int i = 0; i < 5000; i++)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    var rent = new PendingRent(null!);
                    queue.Enqueue(rent);
                    model.Add(rent);
                    break;
                case 2 when model.Count > 0:
                    PendingRent leaving = model[random.Next(model.Count)];
                    Assert.True(queue.Remove(leaving));
                    model.Remove(leaving);
                    gone.Add(leaving);
                    break;
                case 3 when gone.Count > 0:
                    Assert.False(queue.Remove(gone[random.Next(gone.Count)]));
                    break;
                default:
                    PendingRent? head = queue.Dequeue();
                    Assert.Same(model.FirstOrDefault(), head);
                    if (head is not null)
                    {
                        model.RemoveAt(0);
                        gone.Add(head);
                    }

                    break;
            }

            Assert.Equal(model.Count, queue.Count);
        }
    }

    [Fact]
    public void Dequeue_Empty_GivesNothing()
    {
        var queue = new PendingQueue();
        Assert.Null(queue.Dequeue());
        Assert.Equal(0, queue.Count);
    }
}
