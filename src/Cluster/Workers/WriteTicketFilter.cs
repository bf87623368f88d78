namespace UPool.Cluster.Workers;

/// <summary>Takes a write's ticket out of Orleans' context as the call arrives; see
/// <see cref="WriteTicket.Arrived"/>.</summary>
internal sealed class WriteTicketFilter : IIncomingGrainCallFilter
{
    public Task Invoke(IIncomingGrainCallContext context)
    {
        if (RequestContext.Get(WriteTicket.ContextKey) is WriteTicket ticket) return InvokeAsync(context, ticket);

        WriteTicket.Arrived.Value = null;
        return context.Invoke();
    }

    private static async Task InvokeAsync(IIncomingGrainCallContext context, WriteTicket ticket)
    {
        RequestContext.Remove(WriteTicket.ContextKey);
        WriteTicket.Arrived.Value = ticket;
        try
        {
            await context.Invoke();
        }
        finally
        {
            ticket.EndCall();
        }
    }
}
