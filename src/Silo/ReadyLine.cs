namespace UPool.Silo;

/// <summary>The line that a silo prints when it is ready, with its ports, which it may have chosen itself.</summary>
internal static class ReadyLine
{
    public static string Of(WebApplication app)
    {
        var silo = app.Services.GetRequiredService<ILocalSiloDetails>();
        return $"UPool.Silo is ready: silo {silo.SiloAddress.Endpoint}, gateway {silo.GatewayAddress?.Endpoint}, " +
            $"management {string.Join(" ", app.Urls)}";
    }
}
