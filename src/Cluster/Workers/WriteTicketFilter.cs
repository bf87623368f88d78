namespace UPool.Cluster.Workers;

/// <summary>Takes a write's ticket out of Orleans' context as the call arrives; see
/// <see cref="WriteTicket.Arrived"/>.</summary>
internal sealed class WriteTicketFilter : IIncomingGrainCallFilter
{
    public Task Invoke(IIncomingGrainCallContext context)
    {
        var ticket = RequestContext.Get(WriteTicket.ContextKey) as WriteTicket;
        if (ticket is not null) RequestContext.Remove(WriteTicket.ContextKey);
        WriteTicket.Arrived.Value = ticket;
        return context.Invoke();
    }
}
