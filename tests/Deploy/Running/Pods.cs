using System.Net;
using System.Net.Sockets;
using k8s.Models;

namespace UPool.Deploy.Tests.Running;

/// <summary>Checks a running process from the cluster's side.</summary>
internal static class Pods
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    /// <summary>Asserts that it has the manifest's ports and probe paths.</summary>
    public static async Task AssertAsManifestSaysAsync(StandIn pod)
    {
        V1Container container = pod.Pod.Container;
        await using (var kubelet = new Kubelet(pod))
        {
            Task ready = kubelet.WhenReady;
            Assert.True(await Task.WhenAny(ready, Task.Delay(Patient)) == ready, pod.Process.Output);
            await ready;
        }

        using var client = new HttpClient();
        foreach (V1Probe probe in new[] { container.StartupProbe, container.ReadinessProbe, container.LivenessProbe })
        {
            using HttpResponseMessage reply = await client.GetAsync(pod.UrlOf(probe));
            Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
            Assert.Contains("\"code\":1", await reply.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        foreach (V1ContainerPort port in container.Ports)
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(pod.EndPoint(port.Name));
        }
    }

    /// <summary>Asserts that it serves users without a key, and operators only with the key.</summary>
    public static async Task AssertServesUsersAsync(StandIn api)
    {
        using var client = new HttpClient();
        string users = await client.GetStringAsync($"http://{api.EndPoint("http")}/user/list");
        Assert.Contains("Grace", users, StringComparison.Ordinal);

        // The public port has no management route; the management port requires the key.
        using HttpResponseMessage hidden = await client.GetAsync($"http://{api.EndPoint("http")}/upool/pool");
        Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
        using HttpResponseMessage closed = await client.GetAsync($"http://{api.EndPoint("management")}/upool/pool");
        Assert.Equal(HttpStatusCode.Unauthorized, closed.StatusCode);
    }
}
