namespace UPool.Silo;

/// <summary>What a silo says when it is ready: its ports, which it may have found by itself.</summary>
internal static class ReadyLine
{
    public static string Of(WebApplication app)
    {
        var silo = app.Services.GetRequiredService<ILocalSiloDetails>();
        return $"UPool.Silo is ready: silo {silo.SiloAddress.Endpoint}, gateway {silo.GatewayAddress?.Endpoint}, " +
            $"management {string.Join(" ", app.Urls)}";
    }
}
